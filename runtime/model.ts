import { abortable, abortedError } from './abort.ts'
import { checkInputs } from './check-inputs.ts'
import { OnnxEngineError } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import type { ModelManifest } from './manifest.ts'
import { openVariant, type OpenedVariant } from './open-variant.ts'
import { checkInferOptions, checkLoadOptions, type LoadOptions } from './options.ts'
import type { CheckedTensor, InferOptions } from './session.ts'
import { copyTensors, takeTensors } from './tensor-memory.ts'
import { modelSubject } from './text.ts'
import type { CompactBindings, Model, Outputs } from './types.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/**
 * The model of a manifest. Does nothing until load() or infer(): engines, workers and libraries are opened then. Throws
 * OPTION_INVALID.
 */
export function createModel(manifest: ModelManifest, options: LoadOptions = {}, folder = '.'): Model {
  const { name, bindings } = manifest
  const subject = modelSubject(name)
  const engine = createEngine(subject, () => openVariant(manifest, folder, options))
  checkLoadOptions(name, options)

  const model: Model = {
    name,
    bindings,
    get variant() {
      return engine.opened?.variant
    },
    async load() {
      await engine.load()
      return model
    },
    async infer(inputs, callOptions = {}) {
      engine.refuseDisposed()
      const { signal, transfer } = checkInferOptions(name, callOptions)
      if (signal?.aborted) throw abortedError(subject, signal.reason)
      const checked = checkInputs(name, bindings.inputs, inputs)
      const outputs = engine.run(transfer ? takeTensors(checked) : checked, { signal, transfer })
      return Object.fromEntries(
        await (signal ? abortable(outputs, signal, subject) : outputs),
      ) as Outputs<CompactBindings>
    },
    dispose: engine.dispose,
    [Symbol.asyncDispose]: engine.dispose,
  }
  return model
}

/** An engine that is opened by its first use. */
interface Engine {
  /** Undefined until the engine is open, and once it is disposed. */
  readonly opened: OpenedVariant | undefined
  load(): Promise<unknown>
  /** With `transfer`, the tensors are in buffers of our own. */
  run(inputs: Tensors, options: InferOptions): Promise<Tensors>
  dispose(): Promise<void>
  refuseDisposed(): void
}

function createEngine(subject: string, openEngine: () => Promise<OpenedVariant>): Engine {
  // An aborted call still occupies the engine: dispose() waits for the work, not for the caller's promise.
  const work = createInFlight()
  let opened: OpenedVariant | undefined
  let opening: Promise<OpenedVariant> | undefined
  let disposing: Promise<void> | undefined

  return {
    get opened() {
      return opened
    },
    async load() {
      refuseDisposed()
      return work.track(open())
    },
    run: (inputs, options) => work.track(run(inputs, options)),
    dispose() {
      disposing ??= (async () => {
        await work.settled()
        await opened?.session.dispose()
        opened = undefined
      })()
      return disposing
    },
    refuseDisposed,
  }

  function open(): Promise<OpenedVariant> {
    opening ??= openEngine().then(
      (result) => (opened = result),
      (error: unknown) => {
        // The next call tries again: the user may have mended the cause.
        opening = undefined
        throw error
      },
    )
    return opening
  }

  async function run(inputs: Tensors, options: InferOptions): Promise<Tensors> {
    if (opened) return opened.session.infer(inputs, options)
    // The caller may change its arrays as soon as infer() has returned, which is before the engine is open.
    const own = options.transfer ? inputs : copyTensors(inputs)
    return (await open()).session.infer(own, { ...options, transfer: true })
  }

  function refuseDisposed(): void {
    if (disposing)
      throw new OnnxEngineError('DISPOSED', subject, { expected: 'a model in use', received: 'a disposed one' })
  }
}
