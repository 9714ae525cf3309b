import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OnnxEngineError, textOf } from '../../runtime/errors.ts'
import type { CheckedTensor } from '../../runtime/session.ts'
import { npyBytes } from '../samples/npy.ts'
import { quote } from '../text.ts'
import type { Tensors } from './opened.ts'

/** Whose tensors: what both received, what the engine gave, and what it is compared with gave. */
export type TensorRole = 'inputs' | 'engine' | 'against'

/** A tensor that was kept as a .npy file. */
export interface KeptTensor {
  /** Number of the sample, from 0. */
  readonly sample: number
  readonly role: TensorRole
  /** The name in the model, which may hold anything: files have numbers as names. */
  readonly name: string
  /** Absolute path of the .npy file. */
  readonly file: string
}

const index = 'index.jsonl'

/** A function that keeps the tensors of a sample in a folder, for `keptTensors` to list. */
export function tensorKeeper(folder: string): (sample: number, role: TensorRole, tensors: Tensors) => Promise<void> {
  let count = 0
  return async (sample, role, tensors) => {
    for (const [name, tensor] of tensors) {
      const file = join(folder, `${count++}.npy`)
      await writeFile(file, bytesOf(name, tensor))
      await appendFile(join(folder, index), `${JSON.stringify({ sample, role, name, file } satisfies KeptTensor)}\n`)
    }
  }
}

function bytesOf(name: string, tensor: CheckedTensor): Uint8Array {
  try {
    return npyBytes(tensor)
  } catch (cause) {
    const subject = `${quote(name)} cannot be saved: ${textOf(cause)}`
    throw new OnnxEngineError('OUTPUT_FAILED', subject, { hint: 'Leave out --save', cause })
  }
}

/** The tensors that a comparison kept in a folder, in the order of the samples. */
export async function keptTensors(folder: string): Promise<readonly KeptTensor[]> {
  const text = await readFile(join(folder, index), 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as KeptTensor)
}
