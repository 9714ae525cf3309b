import type { TensorRtEngine } from '../../native/load-addon.ts'
import { OnnxEngineError, textOf } from '../errors.ts'
import { createInFlight } from '../in-flight.ts'
import type { Bindings } from '../manifest.ts'
import type { CheckedTensor, InferOptions, Session } from '../session.ts'
import { bytesOf, viewOf } from '../tensor-memory.ts'
import { refuseInputs } from './bounds.ts'
import type { KernelCache } from './kernel-cache.ts'

/**
 * Runs inferences on a loaded engine. Throws a plain Error for an engine whose inputs and outputs are not those of the
 * model.
 */
export function createSession(engine: TensorRtEngine, bindings: Bindings, where: string, cache: KernelCache): Session {
  checkTypes(engine, bindings)
  const calls = createInFlight()
  // An input that no node uses is not in the engine.
  const inputPorts = engine.ports.filter(({ input }) => input)
  const outputPorts = engine.ports.filter(({ input }) => !input)

  return {
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    async dispose() {
      await calls.settled()
      await cache.keep(new Uint8Array(await engine.runtimeCache().catch(() => new ArrayBuffer(0))))
      await engine.close()
    },
  }

  async function infer(inputs: ReadonlyMap<string, CheckedTensor>, { signal, transfer = false }: InferOptions) {
    const tensors = inputPorts.map(({ name }) => {
      const tensor = inputs.get(name)
      if (!tensor || !ArrayBuffer.isView(tensor.data))
        throw new OnnxEngineError('INPUT_INVALID', `${where}, input ${JSON.stringify(name)}`, {
          expected: 'a tensor',
          received: 'none',
        })
      return { bytes: bytesOf(tensor.data), dims: tensor.dims }
    })
    refuseInputs(engine.profiles, inputPorts, tensors, where)
    const stop = new AbortController()
    try {
      const { id, outputs } = engine.infer(tensors, transfer)
      signal?.addEventListener('abort', () => engine.cancel(id), { once: true, signal: stop.signal })
      const results = await outputs
      const byName = new Map(outputPorts.map(({ name }, index) => [name, results[index]]))
      return new Map(
        bindings.outputs.map(({ name, dtype }): [string, CheckedTensor] => {
          const { buffer, dims } = byName.get(name) ?? { buffer: new ArrayBuffer(0), dims: [] }
          return [name, { dtype, dims, data: viewOf(dtype, buffer, 0, buffer.byteLength) }]
        }),
      )
    } catch (cause) {
      if (signal?.aborted)
        throw new OnnxEngineError('ABORTED', `${where}: infer() was aborted by its signal`, { cause })
      throw new OnnxEngineError(
        'INFERENCE_FAILED',
        `${where}: TensorRT failed while running the model: ${textOf(cause)}`,
        { cause },
      )
    } finally {
      stop.abort()
    }
  }
}

// Reading bytes as another dtype would give wrong numbers without an error.
function checkTypes({ ports }: TensorRtEngine, { inputs, outputs }: Bindings): void {
  for (const { name, dtype } of [...inputs, ...outputs]) {
    const port = ports.find((candidate) => candidate.name === name)
    if (port && port.dtype !== dtype)
      throw new Error(`the engine's '${name}' is ${port.dtype}, the model's is ${dtype}`)
    if (!port && outputs.some((output) => output.name === name)) throw new Error(`the engine has no output '${name}'`)
  }
}
