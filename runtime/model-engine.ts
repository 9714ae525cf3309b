import { OnnxEngineError } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import { createDefaults } from './input-defaults.ts'
import type { Binding } from './manifest.ts'
import type { OpenedVariant } from './opened-variant.ts'
import { createProgress } from './progress.ts'
import type { CheckedTensor, InferOptions } from './session.ts'
import { copyTensors } from './tensor-memory.ts'
import { modelSubject, quote } from './text.ts'
import { createTrial, type Trial } from './trial.ts'
import type { OnProgress } from './types.ts'

type Tensors = ReadonlyMap<string, CheckedTensor>

/** An engine that is opened by its first use. */
export interface ModelEngine {
  /** Undefined until the engine is open, and once it is disposed. */
  opened(): OpenedVariant | undefined
  load(onProgress: OnProgress | undefined): Promise<unknown>
  /** On the calling thread; only where the session of `opened()` has inferSync. */
  runSync(inputs: Tensors): Tensors
  /** With `transfer`, the tensors are in buffers of our own. */
  run(inputs: Tensors, options: InferOptions): Promise<Tensors>
  dispose(): Promise<void>
  refuseDisposed(): void
}

/** The engine of a model. `openEngine` opens the first variant that this machine can run. */
export function createModelEngine(
  name: string,
  inputBindings: readonly Binding[],
  openEngine: (onProgress: OnProgress) => Promise<OpenedVariant>,
): ModelEngine {
  const subject = modelSubject(name)
  const takeOptional = createOptionalInputs(subject, inputBindings)
  // An aborted call still occupies the engine: dispose() waits for the work, not for the caller's promise.
  const work = createInFlight()
  const progress = createProgress()
  let trial: Trial | undefined
  let opening: Promise<Trial> | undefined
  let disposing: Promise<void> | undefined

  return {
    opened: () => trial?.current,
    async load(onProgress) {
      refuseDisposed()
      return work.track(progress.during(open, onProgress))
    },
    runSync(inputs) {
      const variant = trial?.current
      if (trial === undefined || variant?.session.inferSync === undefined) return new Map()
      const outputs = variant.session.inferSync(takeOptional(variant, inputs))
      trial.accept(variant)
      return outputs
    },
    run: (inputs, options) => work.track(run(inputs, options)),
    dispose() {
      disposing ??= (async () => {
        await work.settled()
        await trial?.dispose()
        trial = undefined
      })()
      return disposing
    },
    refuseDisposed,
  }

  function open(): Promise<Trial> {
    opening ??= openEngine(progress.emit).then(
      (first) => (trial = createTrial(subject, first, inferIn)),
      (error: unknown) => {
        // The next call tries again: the user may have mended the cause.
        opening = undefined
        throw error
      },
    )
    return opening
  }

  async function run(inputs: Tensors, options: InferOptions): Promise<Tensors> {
    if (trial?.isOver) return inferIn(trial.current, inputs, options)
    // The caller may change its arrays as soon as infer() has returned, which is before the engine is open.
    const own = options.transfer ? inputs : copyTensors(inputs)
    return (await open()).run(own, options)
  }

  async function inferIn(variant: OpenedVariant, inputs: Tensors, options: InferOptions): Promise<Tensors> {
    return variant.session.infer(takeOptional(variant, inputs), options)
  }

  function refuseDisposed(): void {
    if (disposing) throw disposedError(subject)
  }
}

function disposedError(subject: string): OnnxEngineError {
  return new OnnxEngineError('DISPOSED', subject, { expected: 'a model in use', received: 'a disposed one' })
}

/** Prepares the inputs of a call for a session: with the defaults of those that were left out, or without any. */
function createOptionalInputs(
  subject: string,
  inputs: readonly Binding[],
): (opened: OpenedVariant, tensors: Tensors) => Tensors {
  const optional = inputs.filter((input) => input.optional)
  const compiledIn = optional.filter((input) => input.default === undefined)
  const fill = createDefaults(inputs)
  return ({ session: { optionalInputs } }, tensors) => {
    if (optional.length === 0 || optionalInputs === 'any') return tensors
    refuse(subject, optionalInputs === 'filled' ? compiledIn : optional, tensors)
    return optionalInputs === 'filled' ? fill(tensors) : tensors
  }
}

// To ignore the caller's value would give wrong numbers without an error.
function refuse(subject: string, optional: readonly Binding[], tensors: Tensors): void {
  const given = optional.find(({ name }) => tensors.has(name))
  if (given === undefined) return
  throw new OnnxEngineError('INPUT_INVALID', `${subject}, input ${quote(given.name)}`, {
    expected: 'nothing, because this engine has the default compiled in',
    received: 'a value',
    hint: 'Leave the input out.',
  })
}
