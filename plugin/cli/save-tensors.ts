import { access, constants } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { makeFolder } from '../../runtime/make-folder.ts'
import { orOutputFailed } from '../emit/output.ts'
import { writeNpz } from '../samples/npz.ts'
import { type KeptTensor, keptTensors, type TensorRole } from '../verify/keep-tensors.ts'
import type { VerifyRequest } from '../verify/request.ts'

/** Makes the folder, before any engine is built. Throws OUTPUT_FAILED when it cannot be written. */
export async function checkSaveFolder(folder: string): Promise<void> {
  await orSaveFailed(folder, async () => {
    await makeFolder(resolve(folder))
    await access(resolve(folder), constants.W_OK)
  })
}

/**
 * Writes what comparisons kept in `kept` as .npz files, one for each sample and side: `000.inputs.npz`,
 * `000.openvino-fp32.npz`, `000.fp32-model.npz`. Of values that several comparisons kept, the first one counts. Returns
 * the paths. Throws OUTPUT_FAILED.
 */
export async function saveTensors(folder: string, request: VerifyRequest, kept: readonly string[]): Promise<string[]> {
  const files = new Map<string, Map<string, KeptTensor>>()
  for (const tensor of (await Promise.all(kept.map(keptTensors))).flat()) {
    const file = `${String(tensor.sample).padStart(3, '0')}.${sideNames[tensor.role](request)}.npz`
    const tensors = files.get(file) ?? new Map<string, KeptTensor>()
    files.set(file, tensors)
    if (!tensors.has(tensor.name)) tensors.set(tensor.name, tensor)
  }
  const saved: string[] = []
  for (const [name, tensors] of [...files].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const path = resolve(folder, name)
    const entries = Array.from(tensors.values(), ({ name, file }) => ({ name, npy: file }))
    await orSaveFailed(folder, () => writeNpz(path, entries))
    saved.push(join(folder, name))
  }
  return saved
}

const sideNames: Readonly<Record<TensorRole, (request: VerifyRequest) => string>> = {
  inputs: () => 'inputs',
  engine: engineName,
  against: ({ against }) => (against ? engineName(against) : 'fp32-model'),
}

function engineName({ backend, label, options }: VerifyRequest): string {
  return [backend, options.engine, label].filter(Boolean).join('-')
}

function orSaveFailed<T>(folder: string, action: () => Promise<T>): Promise<T> {
  return orOutputFailed(folder, action, 'the tensors')
}
