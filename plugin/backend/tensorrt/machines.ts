import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { OnnxEngineError, textOf } from '../../../runtime/errors.ts'
import type { Available } from '../contract.ts'
import type { TensorRtDetail } from './settings.ts'

/** Another machine with TensorRT and a GPU. */
export interface Machine {
  /** The file that describes it, as the user wrote it. */
  readonly file: string
  readonly found: Available<TensorRtDetail>
}

const gpu = v.object({
  name: v.string(),
  computeCapability: v.string(),
  multiprocessors: v.number(),
  l2Bytes: v.number(),
  memoryBusBits: v.number(),
  memoryBytes: v.number(),
})

/** What `unplugin-onnx doctor --json` prints, as far as it decides a plan. */
const diagnosis = v.object({
  platform: v.string(),
  arch: v.string(),
  backends: v.array(v.looseObject({ name: v.string(), available: v.boolean() })),
})

const library = v.object({
  version: v.string(),
  detail: v.object({
    bytes: v.number(),
    parserVersion: v.number(),
    driver: v.object({ driver: v.string(), cuda: v.string(), gpus: v.pipe(v.array(gpu), v.minLength(1)) }),
  }),
})
const backend = v.object({ detail: v.object({ here: library }) })

/** Reads the machines that the option `tensorrt.machines` names. Throws OPTION_INVALID. */
export function readMachines(files: readonly string[], root: string): Promise<readonly Machine[]> {
  return Promise.all(files.map(async (file) => ({ file, found: await readMachine(file, root) })))
}

async function readMachine(file: string, root: string): Promise<Available<TensorRtDetail>> {
  try {
    const { platform, arch, backends } = v.parse(diagnosis, JSON.parse(await readFile(resolve(root, file), 'utf8')))
    const answer = backends.find(({ name }) => name === 'tensorrt')
    const { version, detail } = v.parse(backend, answer).detail.here
    const driver = { reason: '', ...detail.driver }
    return { available: true, version, detail: { ...detail, ...noFiles, driver, platform, arch } }
  } catch (cause) {
    throw new OnnxEngineError('OPTION_INVALID', `option 'tensorrt.machines': ${file}`, {
      expected: 'a file of `unplugin-onnx doctor --json` from a machine with TensorRT and a GPU',
      received: textOf(cause),
      hint: 'Write it on that machine: unplugin-onnx doctor --json > FILE',
      cause,
    })
  }
}

// Those of the other machine are of no use here.
const noFiles = { file: '', parser: '', plugins: '' }
