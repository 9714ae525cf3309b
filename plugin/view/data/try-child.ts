import { writeFile } from 'node:fs/promises'
import { elementCount } from '../../../runtime/dtype.ts'
import { loadModel } from '../../../runtime/load.ts'
import type { Bindings } from '../../../runtime/manifest.ts'
import { bareName, quote } from '../../../runtime/text.ts'
import type { ChildTask } from '../../child/contract.ts'
import { numbersOf } from '../../measure/numbers.ts'
import type { TryOutput, TryRequest, TryResult } from '../contract.ts'
import { inputTensors, type TryTensor } from './try-inputs.ts'

/** What the process that runs a model for a page is given; its `model` is the manifest. */
export type TrySettings = { readonly bindings: Bindings; readonly request: TryRequest; readonly query: string }

/** Values of an output that are sent: 4 MB of float32. */
const mostValues = 1_000_000

/** Runs an engine once, and writes a TryResult. Runs in a child process, which a model may crash. */
export const run: ChildTask = async ({ name, model: manifest, output, settings }) => {
  const { bindings, request, query } = settings as TrySettings
  const inputs = await inputTensors(bindings, request)
  const model = await loadModel(manifest)
  try {
    await model.load()
    const start = performance.now()
    const outputs = (await model.infer(Object.fromEntries(inputs) as never)) as Readonly<Record<string, TryTensor>>
    const milliseconds = performance.now() - start
    const result: TryResult = {
      outputs: Object.entries(outputs).map(([key, tensor]) => describeOutput(key, tensor)),
      milliseconds,
      code: codeOf(name, query, bindings, inputs),
    }
    await writeFile(output, JSON.stringify(result))
  } finally {
    await model.dispose()
  }
}

function describeOutput(name: string, { dtype, dims, data }: TryTensor): TryOutput {
  const numbers = numbersOf({ dtype, dims, data } as never)
  const values = numbers ? Array.from(numbers) : (data as readonly string[])
  return { name, dtype, dims, data: values.slice(0, mostValues), isClipped: values.length > mostValues }
}

function codeOf(name: string, query: string, { inputs }: Bindings, tensors: ReadonlyMap<string, TryTensor>): string {
  const entries = inputs.map((binding) => {
    const { data, dims } = tensors.get(binding.name) ?? { data: [], dims: [] }
    const array = (data as object).constructor.name
    const isStatic = binding.dims?.every((dim) => typeof dim === 'number')
    const values = `new ${array}(${elementCount(dims)})`
    return `${bareName(binding.name)}: ${isStatic ? values : `{ data: ${values}, dims: [${dims.join(', ')}] }`}`
  })
  return [
    `import model from ${quote(`./${name}.onnx${query}`)}`,
    '',
    `const outputs = await model.infer({ ${entries.join(', ')} })`,
  ].join('\n')
}
