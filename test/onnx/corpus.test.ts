import { createHash } from 'node:crypto'
import { openSync, readSync, closeSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { describe, test, expect } from 'vitest'
import type { ByteRange } from '../../plugin/onnx/bytes.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { selectBindings } from '../../plugin/options/select-bindings.ts'
import { dtypes, dtypeOfCode, isBindingDType } from '../../runtime/dtype.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { loadCorpus, type CorpusRecord, type CorpusBinding } from '../corpus/index.ts'
import { orSkip } from '../support/python.ts'

const corpus = await orSkip('test models of the ONNX library', loadCorpus)

describe.skipIf(!corpus)('test models of the ONNX library', () => {
  test('all test models are here', () => {
    const cases = corpus!.records.filter(({ sets }) => sets)
    expect([cases.length, corpus!.records.length - cases.length]).toEqual([1884, 149])
  })

  test('bindings, opsets and initializers are as the library reads them, or a binding is refused', async () => {
    const differences: unknown[] = []
    for (const record of corpus!.records) {
      const [expected, received] = [expectation(record), await reading(corpus!.file(record))]
      if (!isDeepStrictEqual(received, expected)) differences.push({ name: record.name, expected, received })
    }
    expect(differences).toEqual([])
  })
})

async function reading(file: string): Promise<object> {
  try {
    const model = await readModel(file)
    const { irVersion, opsets, initializers } = model
    const { bindings } = selectBindings(model, { outputs: [], optionalInputs: [] }, 'case')
    const weights = initializers.map(({ name, dtype, dims, range }) => ({
      name,
      code: dtypes[dtype].code,
      dims,
      sha256: range ? digest(range) : null,
    }))
    return { irVersion, opsets, bindings, initializers: weights }
  } catch (error) {
    if (!(error instanceof OnnxEngineError)) throw error
    return { refused: /(?:input|output) "[^"]*"/.exec(error.message)?.[0], code: error.code }
  }
}

// A refusal names the first binding that cannot be represented.
function expectation({ irVersion, opsets, inputs, outputs, initializers }: CorpusRecord): object {
  for (const [role, bindings] of Object.entries({ input: inputs, output: outputs })) {
    const foreign = bindings.find((binding) => !toBinding(binding))
    if (foreign) return { refused: `${role} ${JSON.stringify(foreign.name)}`, code: 'MODEL_UNSUPPORTED' }
  }
  return {
    irVersion,
    opsets,
    bindings: { inputs: inputs.map(toBinding), outputs: outputs.map(toBinding) },
    initializers,
  }
}

function toBinding(binding: CorpusBinding): object | undefined {
  const dtype = binding.kind === 'tensor_type' ? dtypeOfCode(binding.code) : undefined
  return binding.kind === 'tensor_type' && dtype && isBindingDType(dtype)
    ? { name: binding.name, dtype, dims: binding.dims }
    : undefined
}

function digest({ file, offset, length }: ByteRange): string {
  const descriptor = openSync(file, 'r')
  const bytes = new Uint8Array(length)
  readSync(descriptor, bytes, 0, length, offset)
  closeSync(descriptor)
  return createHash('sha256').update(bytes).digest('hex')
}
