import { abortable, abortedError } from './abort.ts'
import { inputCheck } from './check-inputs.ts'
import type { DimsCheck, ModelManifest } from './manifest.ts'
import { createModelEngine } from './model-engine.ts'
import type { OpenedVariant } from './opened-variant.ts'
import { checkInferOptions, checkLoadCall } from './options.ts'
import { takeTensors } from './tensor-memory.ts'
import { modelSubject } from './text.ts'
import type { CompactBindings, Inputs, Model, OnProgress, Outputs } from './types.ts'

/** What callers know of a model before its engine is open. */
export interface ModelFacts extends Pick<ModelManifest, 'name' | 'bindings'> {
  /** Whether dims of one name must be equal. */
  readonly dims?: DimsCheck | undefined
  /** Checks inputs instead of the bindings, for a model that has none. */
  readonly check?: ReturnType<typeof inputCheck> | undefined
}

/** A model whose engine is opened by load() or the first infer(), whether here or on a server. */
export function modelOf(facts: ModelFacts, openEngine: (onProgress: OnProgress) => Promise<OpenedVariant>): Model {
  const { name, bindings, dims } = facts
  const subject = modelSubject(name)
  const check = facts.check ?? inputCheck(name, bindings.inputs, dims)
  const engine = createModelEngine(name, bindings.inputs, openEngine)

  const model: Model = {
    name,
    bindings,
    get variant() {
      return engine.opened()?.variant
    },
    async load(options = {}) {
      await engine.load(checkLoadCall(name, options).onProgress)
      return model
    },
    async infer(inputs, callOptions = {}) {
      engine.refuseDisposed()
      const { signal, transfer } = checkInferOptions(name, callOptions)
      if (signal?.aborted) throw abortedError(subject, signal.reason)
      const checked = check(inputs)
      const run = () => engine.run(transfer ? takeTensors(checked) : checked, { signal, transfer })
      return Object.fromEntries(await (signal ? abortable(signal, subject, run) : run())) as Outputs<CompactBindings>
    },
    get inferSync() {
      return engine.opened()?.session.inferSync ? inferSync : undefined
    },
    dispose: engine.dispose,
    [Symbol.asyncDispose]: engine.dispose,
  }
  return model

  function inferSync(inputs: Inputs<CompactBindings>): Outputs<CompactBindings> {
    engine.refuseDisposed()
    return Object.fromEntries(engine.runSync(check(inputs))) as Outputs<CompactBindings>
  }
}
