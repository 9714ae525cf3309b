import type { TensorRtEngine } from '../../native/load-addon.ts'
import { abortedError, onAbort } from '../abort.ts'
import { checkPortDtype, engineInput, inferenceError, inputSubject, outputTensors } from '../engine-tensors.ts'
import { createInFlight } from '../in-flight.ts'
import type { Bindings } from '../manifest.ts'
import type { CheckedTensor, GpuTimes, InferOptions, Session } from '../session.ts'
import { quote } from '../text.ts'
import { checkProfiles } from './bounds.ts'
import type { KernelCache } from './kernel-cache.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** What a session needs besides its engine. */
export interface SessionContext {
  readonly bindings: Bindings
  /** The head of its messages. */
  readonly subject: string
  readonly cache: KernelCache
}

/**
 * Runs inferences on a loaded engine. Throws a plain Error for an engine whose inputs and outputs are not those of the
 * model.
 */
export function createSession(engine: TensorRtEngine, { bindings, subject, cache }: SessionContext): Session {
  checkPorts(engine, bindings)
  const calls = createInFlight()
  // An input that no node uses is not in the engine.
  const inputPorts = engine.ports.filter(({ input }) => input)
  const outputPorts = engine.ports.filter(({ input }) => !input)
  // Engines order their outputs as they like.
  const outputIndexes = new Map(outputPorts.map(({ name }, index) => [name, index]))

  return {
    kind: 'native',
    infer: (inputs, options) => calls.track(infer(inputs, options)),
    takeGpuTimes: () => gpuTimes(new Float32Array(engine.takeTimes())),
    async dispose() {
      await calls.settled()
      await cache.save(new Uint8Array(await engine.runtimeCache().catch(() => new ArrayBuffer(0))))
      await engine.close()
    },
  }

  async function infer(inputs: Tensors, { signal, transfer: owned = false }: InferOptions): Promise<Tensors> {
    const tensors = inputPorts.map(({ name }) => engineInput(inputs.get(name), inputSubject(subject, name)))
    checkProfiles({ profiles: engine.profiles, ports: inputPorts }, tensors, subject)
    let stopListening: (() => void) | undefined
    try {
      const { id, outputs } = engine.infer(tensors, owned)
      stopListening = signal && onAbort(signal, () => engine.cancel(id))
      const results = await outputs
      return outputTensors(
        bindings.outputs,
        bindings.outputs.map(({ name }) => results[outputIndexes.get(name) ?? -1]),
      )
    } catch (cause) {
      throw signal?.aborted ? abortedError(subject, cause) : inferenceError(subject, 'TensorRT', cause)
    } finally {
      stopListening?.()
    }
  }
}

function gpuTimes(numbers: Float32Array): readonly GpuTimes[] {
  return Array.from({ length: numbers.length / 3 }, (_, index) => {
    const [hostToDevice = 0, compute = 0, deviceToHost = 0] = numbers.subarray(3 * index)
    return { hostToDevice, compute, deviceToHost }
  })
}

function checkPorts({ ports }: TensorRtEngine, { inputs, outputs }: Bindings): void {
  const byName = new Map(ports.map((port) => [port.name, port]))
  for (const binding of [...inputs, ...outputs]) {
    const port = byName.get(binding.name)
    if (port) checkPortDtype(binding, port)
  }
  const lost = outputs.find(({ name }) => !byName.has(name))
  if (lost) throw new Error(`the engine has no output ${quote(lost.name)}`)
}
