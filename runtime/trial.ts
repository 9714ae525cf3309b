import { isOnnxEngineError, textOf } from './errors.ts'
import type { OpenedVariant } from './opened-variant.ts'
import type { CheckedTensor, InferOptions } from './session.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/**
 * The first calls of a model. A variant that opens may still fail at every call, so one whose call fails inside the
 * library is tried on the next variant, with the same inputs. The first variant that runs a call is the model's from
 * then on: a later failure is the caller's to see.
 */
export interface Trial {
  /** The variant that runs the calls now. */
  readonly current: OpenedVariant
  /** Whether the current variant is the model's. */
  readonly isOver: boolean
  /** Runs a call. The inputs are in buffers of our own. */
  run(inputs: Tensors, options: InferOptions): Promise<Tensors>
  /** Reports that a variant has run a call. */
  accept(variant: OpenedVariant): void
  /** Closes all that is open. No call may be running. */
  dispose(): Promise<void>
}

export function createTrial(
  subject: string,
  first: OpenedVariant,
  infer: (variant: OpenedVariant, inputs: Tensors, options: InferOptions) => Promise<Tensors>,
): Trial {
  // In the order of the manifest.
  const candidates = [first]
  const following = new Map<OpenedVariant, Promise<OpenedVariant | undefined>>()
  const close = createCloser()
  let current = first
  // A single variant has nobody to be compared with.
  let isOver = first.next === undefined

  return {
    get current() {
      return current
    },
    get isOver() {
      return isOver
    },
    run: (inputs, options) => run(current, inputs, options),
    accept,
    async dispose() {
      await Promise.all(candidates.map(close))
    },
  }

  async function run(variant: OpenedVariant, inputs: Tensors, options: InferOptions): Promise<Tensors> {
    const mayFail = !isOver && variant.next !== undefined
    try {
      // The next variant needs the inputs, which a transfer would take away.
      const outputs = await infer(variant, inputs, { ...options, transfer: !mayFail })
      accept(variant)
      return outputs
    } catch (error) {
      if (!mayFail || options.signal?.aborted || !isOfLibrary(error)) throw error
      const next = await variantAfter(variant, textOf(error))
      // Another call may have ended the trial in the meantime, perhaps with a variant that this one has left.
      const better = isOver ? current : next
      if (better === undefined || candidates.indexOf(better) <= candidates.indexOf(variant)) throw error
      return run(better, inputs, options)
    }
  }

  function accept(variant: OpenedVariant): void {
    if (isOver) return
    isOver = true
    current = variant
    if (variant !== first) warn(subject, first, variant)
    for (const candidate of candidates) if (candidate !== variant) void close(candidate).catch(() => {})
  }

  /** Calls that fail at once share what is opened next. */
  function variantAfter(variant: OpenedVariant, reason: string): Promise<OpenedVariant | undefined> {
    const opening = following.get(variant) ?? openAfter(variant, reason)
    following.set(variant, opening)
    // A later call tries again: the user may have mended the cause.
    opening.catch(() => following.delete(variant))
    return opening
  }

  async function openAfter(variant: OpenedVariant, reason: string): Promise<OpenedVariant | undefined> {
    const next = await variant.next?.(reason)
    if (next === undefined || !('session' in next)) return undefined
    candidates.push(next)
    // Too late: nobody has called it yet, and nobody will.
    if (isOver) await close(next)
    return next
  }
}

/** Whether a library failed or crashed. Inputs that it refuses by their name are the caller's to mend. */
function isOfLibrary(error: unknown): boolean {
  return isOnnxEngineError(error) && (error.code === 'INFERENCE_FAILED' || error.code === 'WORKER_CRASHED')
}

/** Closes each variant once. */
function createCloser(): (variant: OpenedVariant) => Promise<void> {
  const closing = new Map<OpenedVariant, Promise<void>>()
  return (variant) => {
    const closed = closing.get(variant) ?? variant.session.dispose()
    closing.set(variant, closed)
    return closed
  }
}

/** Names the variant that was left, which is among those that were skipped before another runs. */
function warn(subject: string, { variant: left }: OpenedVariant, { variant }: OpenedVariant): void {
  const reason = variant.skipped[left.skipped.length]?.reason
  const text = `${subject}: ${nameOf(left)} failed on its first call, so ${nameOf(variant)} runs instead: ${reason}`
  // A page has no process.
  const { process } = globalThis as { readonly process?: NodeJS.Process }
  if (process?.emitWarning) process.emitWarning(text, { type: 'OnnxEngineWarning' })
  else console.warn(text)
}

function nameOf({ backend, engine }: OpenedVariant['variant']): string {
  return engine === undefined ? `the ${backend} model` : `${backend} ${engine}`
}
