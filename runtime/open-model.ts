import { abortable, abortedError } from './abort.ts'
import { checkInputs } from './check-inputs.ts'
import { OnnxEngineError } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import type { DimsCheck, ModelManifest } from './manifest.ts'
import type { OpenedVariant } from './opened-variant.ts'
import { checkInferOptions, checkLoadCall } from './options.ts'
import { createProgress } from './progress.ts'
import type { CheckedTensor, InferOptions } from './session.ts'
import { copyTensors, takeTensors } from './tensor-memory.ts'
import { modelSubject, quote } from './text.ts'
import type { CompactBindings, Inputs, Model, OnProgress, Outputs } from './types.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** What callers know of a model before its engine is open. */
export interface ModelFacts extends Pick<ModelManifest, 'name' | 'bindings'> {
  /** Whether dims of one name must be equal. */
  readonly dims?: DimsCheck | undefined
}

/** A model whose engine is opened by load() or the first infer(), whether here or on a server. */
export function modelOf(facts: ModelFacts, openEngine: (onProgress: OnProgress) => Promise<OpenedVariant>): Model {
  const { name, bindings, dims } = facts
  const subject = modelSubject(name)
  const engine = createEngine(facts, openEngine)

  const model: Model = {
    name,
    bindings,
    get variant() {
      return engine.opened?.variant
    },
    async load(options = {}) {
      await engine.load(checkLoadCall(name, options).onProgress)
      return model
    },
    async infer(inputs, callOptions = {}) {
      engine.refuseDisposed()
      const { signal, transfer } = checkInferOptions(name, callOptions)
      if (signal?.aborted) throw abortedError(subject, signal.reason)
      const checked = checkInputs(name, bindings.inputs, inputs, dims)
      const run = () => engine.run(transfer ? takeTensors(checked) : checked, { signal, transfer })
      return Object.fromEntries(await (signal ? abortable(signal, subject, run) : run())) as Outputs<CompactBindings>
    },
    get inferSync() {
      return engine.opened?.session.inferSync ? inferSync : undefined
    },
    dispose: engine.dispose,
    [Symbol.asyncDispose]: engine.dispose,
  }
  return model

  function inferSync(inputs: Inputs<CompactBindings>): Outputs<CompactBindings> {
    engine.refuseDisposed()
    const checked = checkInputs(name, bindings.inputs, inputs, dims)
    return Object.fromEntries(engine.runSync(checked)) as Outputs<CompactBindings>
  }
}

/** An engine that is opened by its first use. */
interface Engine {
  /** Undefined until the engine is open, and once it is disposed. */
  readonly opened: OpenedVariant | undefined
  load(onProgress: OnProgress | undefined): Promise<unknown>
  /** On the calling thread; only where the session of `opened` has inferSync. */
  runSync(inputs: Tensors): Tensors
  /** With `transfer`, the tensors are in buffers of our own. */
  run(inputs: Tensors, options: InferOptions): Promise<Tensors>
  dispose(): Promise<void>
  refuseDisposed(): void
}

function createEngine(
  { name, bindings }: ModelFacts,
  openEngine: (onProgress: OnProgress) => Promise<OpenedVariant>,
): Engine {
  const subject = modelSubject(name)
  const optional = bindings.inputs.filter((input) => input.optional).map((input) => input.name)
  // An aborted call still occupies the engine: dispose() waits for the work, not for the caller's promise.
  const work = createInFlight()
  const progress = createProgress()
  let opened: OpenedVariant | undefined
  let opening: Promise<OpenedVariant> | undefined
  let disposing: Promise<void> | undefined

  return {
    get opened() {
      return opened
    },
    async load(onProgress) {
      refuseDisposed()
      return work.track(progress.during(open, onProgress))
    },
    runSync(inputs) {
      if (opened?.session.inferSync === undefined) return new Map()
      if (!opened.session.optionalInputs) refuseOptional(subject, optional, inputs)
      return opened.session.inferSync(inputs)
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
    opening ??= openEngine(progress.emit).then(
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
    if (opened) return inferIn(opened, inputs, options)
    // The caller may change its arrays as soon as infer() has returned, which is before the engine is open.
    const own = options.transfer ? inputs : copyTensors(inputs)
    return inferIn(await open(), own, { ...options, transfer: true })
  }

  function inferIn({ session }: OpenedVariant, inputs: Tensors, options: InferOptions): Promise<Tensors> {
    if (!session.optionalInputs) refuseOptional(subject, optional, inputs)
    return session.infer(inputs, options)
  }

  function refuseDisposed(): void {
    if (disposing)
      throw new OnnxEngineError('DISPOSED', subject, { expected: 'a model in use', received: 'a disposed one' })
  }
}

// To ignore the caller's value would give wrong numbers without an error.
function refuseOptional(subject: string, optional: readonly string[], inputs: Tensors): void {
  const given = optional.find((name) => inputs.has(name))
  if (given === undefined) return
  throw new OnnxEngineError('INPUT_INVALID', `${subject}, input ${quote(given)}`, {
    expected: 'nothing, because this engine has the default compiled in',
    received: 'a value',
    hint: 'Leave the input out.',
  })
}
