import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { digestOf, once, pythonWith, vendorFolder } from '../support/python.ts'

/** A binding as the ONNX library reads it. `kind` is the field of TypeProto; `code` is TensorProto.DataType. */
export type CorpusBinding = { readonly name: string } & (
  | { readonly kind: 'tensor_type'; readonly code: number; readonly dims: readonly (number | string | null)[] | null }
  | { readonly kind: 'sequence_type' | 'optional_type' | 'map_type' | 'sparse_tensor_type' | null }
)

/**
 * A value of a test case: a tensor whose raw little-endian bytes lie in values.bin, strings, a sequence, or an absent
 * optional.
 */
export type CorpusValue =
  | { readonly code: number; readonly dims: readonly number[]; readonly offset: number; readonly length: number }
  | { readonly code: number; readonly dims: readonly number[]; readonly strings: readonly string[] }
  | readonly CorpusValue[]
  | null

/** A model of the ONNX library's own tests, as the library reads it. */
export interface CorpusRecord {
  readonly name: string
  readonly irVersion: number
  readonly opsets: Readonly<Record<string, number>>
  /** Initializers that are listed as inputs are left out. */
  readonly inputs: readonly CorpusBinding[]
  readonly outputs: readonly CorpusBinding[]
  /** `sha256` of the raw data; null when there is none. */
  readonly initializers: readonly {
    readonly name: string
    readonly code: number
    readonly dims: readonly number[]
    readonly sha256: string | null
  }[]
  /**
   * The types of node outputs that the library infers, for each graph in the order of `scopesOf`: the code of a
   * tensor's dtype, or what a sequence or optional holds. Null where the library cannot infer.
   */
  readonly types: readonly (readonly (readonly [name: string, type: CorpusType])[])[] | null
  /**
   * Only for operator test cases: inputs in the order of the bindings, expected outputs, and the library's tolerance.
   */
  readonly sets?: readonly { readonly inputs: readonly CorpusValue[]; readonly outputs: readonly CorpusValue[] }[]
  readonly rtol?: number
  readonly atol?: number
}

export type CorpusType = number | { readonly sequence: CorpusType } | { readonly optional: CorpusType }

/** One version of an operator of the main domain. `types` are the types that stand for the names in `type`. */
export interface Operator {
  readonly name: string
  readonly since: number
  readonly deprecated: boolean
  readonly attributes: Readonly<Record<string, { readonly required: boolean; readonly default: string | null }>>
  readonly inputs: readonly Parameter[]
  readonly outputs: readonly Parameter[]
  readonly types: Readonly<Record<string, readonly string[]>>
}

/** An input or output of an operator. The values of a variadic one have one type when it is homogeneous. */
export interface Parameter {
  readonly name: string
  readonly type: string
  readonly option: 'Single' | 'Optional' | 'Variadic'
  readonly homogeneous: boolean
}

export interface Corpus {
  readonly operators: readonly Operator[]
  readonly records: readonly CorpusRecord[]
  /** The .onnx file of a record. */
  file(record: CorpusRecord): string
  /** The bytes of a tensor of a test case. */
  bytes(value: { readonly offset: number; readonly length: number }): Uint8Array
}

const here = fileURLToPath(new URL('.', import.meta.url))

/**
 * The test models of the ONNX library: 1,884 cases of operators with inputs and expected outputs, and the models of its
 * backend/test/data. They are made by the library itself, once (about 30 s and 20 MB), and kept in .vendor.
 */
export async function loadCorpus(): Promise<Corpus> {
  const [maker, requirements] = [join(here, 'make.py'), join(here, 'requirements.txt')]
  const folder = join(vendorFolder, `corpus-${digestOf([maker, requirements])}`)
  await once(folder, async () => {
    const python = await pythonWith(requirements)
    mkdirSync(folder)
    await promisify(execFile)(python, [maker, folder])
    // What an older script made.
    for (const name of readdirSync(vendorFolder)) {
      if (name.startsWith('corpus-') && !name.startsWith(basename(folder)))
        rmSync(join(vendorFolder, name), { recursive: true, force: true })
    }
  })
  let values: Uint8Array | undefined
  return {
    records: JSON.parse(readFileSync(join(folder, 'corpus.json'), 'utf8')) as CorpusRecord[],
    operators: JSON.parse(readFileSync(join(folder, 'operators.json'), 'utf8')) as Operator[],
    file: ({ name }) => join(folder, 'models', `${name}.onnx`),
    bytes: ({ offset, length }) =>
      (values ??= readFileSync(join(folder, 'values.bin'))).subarray(offset, offset + length),
  }
}

/**
 * What the checker of the ONNX library says against the models in a folder, by file name: nothing when all are valid.
 */
export async function checkModels(folder: string): Promise<Readonly<Record<string, string>>> {
  const python = await pythonWith(join(here, 'requirements.txt'))
  const { stdout } = await promisify(execFile)(python, [join(here, 'check.py'), folder])
  return JSON.parse(stdout) as Record<string, string>
}
