import { textOf } from '../../runtime/errors.ts'
import type { Bindings } from '../../runtime/manifest.ts'
import type { Sample } from '../samples/read.ts'
import type { InputRange } from './input-ranges.ts'
import { type DimSizes, type Draw, draws, type KnownInputs, randomDims, randomSample } from './random-inputs.ts'

/** Random inputs that the fp32 model accepts, and what was tried. */
export interface AcceptedInputs {
  readonly samples: readonly Sample[]
  /** In words: the draws and dims of the samples. */
  readonly tried: readonly string[]
}

/** Runs the fp32 model on a sample; rejects when the model refuses it. */
export type TryInputs = (sample: Sample) => Promise<unknown>

/** The options' knowledge of the inputs, and that of the graph. */
export interface InputKnowledge {
  readonly bindings: Bindings
  readonly known: KnownInputs
  readonly ranges: ReadonlyMap<string, InputRange>
}

/** A random sample that the model accepts. */
export interface FirstAccepted {
  readonly sample: Sample
  readonly shapes: ReadonlyMap<string, readonly number[]>
  readonly sizes: DimSizes
  /** How long the model took. */
  readonly milliseconds: number
}

/**
 * Random inputs for a comparison: first the mildest draw. Then come the other draws, and other dims: two in a batch, an
 * odd length, the bounds of a profile. What the model refuses is left out.
 *
 * @returns the reason when it accepts nothing
 */
export async function acceptedInputs(
  knowledge: InputKnowledge,
  tryInputs: TryInputs,
): Promise<AcceptedInputs | string> {
  const first = await firstAccepted(knowledge, tryInputs)
  if (typeof first === 'string') return first
  const { sample, shapes, sizes, milliseconds } = first
  const plans =
    milliseconds > slow ? draws.slice(1, 2).map((draw) => ({ draw, sizes })) : furtherPlans(knowledge, sizes)
  return more(knowledge, plans, tryInputs, { samples: [sample], tried: [planText(draws[0], shapes)] })
}

/**
 * The mildest draw; dims are guessed where nothing fixes them, until the model accepts it.
 *
 * @returns the reason when it accepts nothing
 */
export async function firstAccepted(knowledge: InputKnowledge, tryInputs: TryInputs): Promise<FirstAccepted | string> {
  const { bindings, known } = knowledge
  let last = 'an input has an unknown rank, or holds strings'
  for (const others of guesses) {
    const sizes = { first: 1, others }
    const shapes = randomDims(bindings.inputs, known.dims, sizes)
    if (!shapes) break
    const sample = randomSample(bindings.inputs, shapes, limitsOf(knowledge), { draw: draws[0], seed: 1 })
    const started = performance.now()
    try {
      await tryInputs(sample)
    } catch (error) {
      last = textOf(error)
      continue
    }
    return { sample, shapes, sizes, milliseconds: performance.now() - started }
  }
  return `the fp32 model does not run on random inputs: ${last}`
}

// Sizes of dims that nothing fixes, but for the first of each input: images of nets that halve them five times, rows of
// text, short sequences.
const guesses = [64, 224, 48, 8, 1]

/** Milliseconds of one inference above which a comparison takes two samples. */
const slow = 4000

interface Plan {
  readonly draw: Draw
  readonly sizes: DimSizes
  /** Dims instead of the known ones. */
  readonly dims?: KnownInputs['dims']
}

function furtherPlans({ bindings, known }: InputKnowledge, sizes: DimSizes): readonly Plan[] {
  const plans: Plan[] = draws.slice(1).map((draw) => ({ draw, sizes }))
  for (const dims of known.bounds ?? []) plans.push({ draw: draws[1]!, sizes, dims })
  const isOpen = bindings.inputs.some(
    ({ name, dims }) => !Object.hasOwn(known.dims, name) && dims?.some((dim) => typeof dim !== 'number'),
  )
  if (!isOpen) return plans
  const odd = sizes.others === 1 ? 3 : Math.min(sizes.others + 1, 33)
  return [
    ...plans,
    { draw: draws[0], sizes: { ...sizes, first: 2 } },
    { draw: draws[0], sizes: { ...sizes, others: odd } },
  ]
}

async function more(
  knowledge: InputKnowledge,
  plans: readonly Plan[],
  tryInputs: TryInputs,
  found: AcceptedInputs,
): Promise<AcceptedInputs> {
  const samples = [...found.samples]
  const tried = [...found.tried]
  const { bindings, known } = knowledge
  for (const [index, { draw, sizes, dims = known.dims }] of plans.entries()) {
    const shapes = randomDims(bindings.inputs, dims, sizes)
    if (!shapes) continue
    const sample = randomSample(bindings.inputs, shapes, limitsOf(knowledge), { draw, seed: index + 2 })
    try {
      await tryInputs(sample)
    } catch {
      // The model takes no such values or dims.
      continue
    }
    samples.push(sample)
    tried.push(planText(draw, shapes))
  }
  return { samples, tried }
}

function limitsOf({ known, ranges }: InputKnowledge) {
  return { values: known.values, ranges }
}

function planText({ name }: Draw, shapes: ReadonlyMap<string, readonly number[]>): string {
  const dims = [...shapes].slice(0, 4).map(([input, sizes]) => `${input} [${sizes.join(', ')}]`)
  const others = shapes.size > 4 ? `, ${shapes.size - 4} more` : ''
  return `${name}: ${dims.join(', ')}${others}`
}
