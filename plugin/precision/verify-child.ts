import { writeFile } from 'node:fs/promises'
import { createModel } from '../../runtime/model.ts'
import type { Bindings, ModelManifest } from '../../runtime/manifest.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import type { CompileInChild } from '../backend/contract.ts'
import { addSample, type Comparison, finish, newComparison } from './compare.ts'
import { randomInputs } from './random-inputs.ts'
import { readSamples, type Sample } from './read-samples.ts'
import type { SampleSource } from './samples.ts'

/** What the comparing child is told. */
export interface VerifySettings {
  /** URL of the ONNX Runtime module. */
  readonly module: string
  readonly candidate: { readonly manifest: ModelManifest } | { readonly onnx: string }
  /** Absent: random inputs. */
  readonly source?: SampleSource
  readonly bindings: Bindings
  /** Dims of inputs by name, from options: fixed, or what a profile is tuned for. */
  readonly dims: Readonly<Record<string, readonly number[]>>
  readonly atol: number | null
  readonly rtol: number | null
}

/** What came out, as JSON. */
export type VerifyResult = {
  /** Where the inputs came from, in words. */
  readonly inputs: string
  /** Why nothing was compared. */
  readonly skipped?: string
  readonly outputs: readonly Comparison[]
}

type Infer = (inputs: Sample) => Promise<ReadonlyMap<string, CheckedTensor>>

/** The part of onnxruntime-node that a comparison uses. */
interface Onnxruntime {
  readonly InferenceSession: { create(path: string, options: Record<string, unknown>): Promise<{ run(feeds: object): Promise<Record<string, OrtTensor>> }> }
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown
}

interface OrtTensor {
  readonly type: string
  readonly dims: readonly number[]
  readonly data: unknown
}

/** Runs the fp32 original and the engine on the same inputs, one after the other, and writes how far they are apart. Runs in a child process. */
export const compile: CompileInChild = async ({ model, output, settings }, log) => {
  const { module, candidate, source, bindings, dims, atol, rtol } = settings as unknown as VerifySettings
  const { default: ort } = (await import(module)) as { default: Onnxruntime }
  const reference = await openOnnx(ort, model, 'all')
  const comparisons = new Map(bindings.outputs.map(({ name }) => [name, newComparison(name, { atol, rtol })]))
  let count = 0
  const found = source ? undefined : await firstRandom(reference, bindings, dims)
  if (found && 'reason' in found) return finishWith({ inputs: 'random', skipped: found.reason, outputs: [] })
  // Opened late: without inputs that the original takes there is nothing to compare.
  let engine: Infer
  try {
    engine = 'onnx' in candidate ? await openOnnx(ort, candidate.onnx, 'disabled') : await openEngine(candidate.manifest)
  } catch (error) {
    return finishWith({ inputs: '', skipped: `the engine cannot run here: ${(error as Error).message}`, outputs: [] })
  }
  for await (const sample of source ? readSamples(source, (state) => log('info', state)) : found!.samples) {
    count++
    const [expected, received] = [await reference(sample), await engine(sample)]
    for (const [name, comparison] of comparisons) addSample(comparison, expected.get(name), received.get(name))
  }
  const inputs = source ? `${count} ${count === 1 ? 'sample' : 'samples'}` : `${count} random inputs`
  await finishWith({ inputs, outputs: [...comparisons.values()].map(finish) })
  // The engine's worker would keep the process alive.
  process.disconnect?.call(process)

  async function finishWith(result: VerifyResult): Promise<void> {
    await writeFile(output, JSON.stringify(result))
  }
}
