import { abortable, abortedError } from './abort.ts'
import { checkInputs } from './check-inputs.ts'
import { OnnxEngineError } from './errors.ts'
import { createInFlight } from './in-flight.ts'
import type { ModelManifest } from './manifest.ts'
import { openVariant, type Opened } from './open-variant.ts'
import { checkInferOptions, checkLoadOptions, type LoadOptions } from './options.ts'
import type { CheckedTensor, InferOptions } from './session.ts'
import { copyTensors, takeTensors } from './tensor-memory.ts'
import type { CompactBindings, Model, Outputs } from './types.ts'

/**
 * The model of a manifest. Does nothing until load() or infer(): engines, workers and libraries are opened then. Throws
 * OPTION_INVALID.
 */
export function createModel(manifest: ModelManifest, options: LoadOptions = {}, folder = '.'): Model {
  const { name, bindings } = manifest
  const where = `model ${JSON.stringify(name)}`
  checkLoadOptions(name, options)
  // An aborted call still occupies the engine: what dispose() waits for is the work, not the caller's promise.
  const work = createInFlight()
  let opened: Opened | undefined
  let opening: Promise<Opened> | undefined
  let disposing: Promise<void> | undefined

  const model: Model = {
    name,
    bindings,
    get variant() {
      return opened?.variant
    },
    async load() {
      refuseDisposed()
      await work.track(open())
      return model
    },
    async infer(inputs, given = {}) {
      refuseDisposed()
      const options = checkInferOptions(name, given)
      if (options.signal?.aborted) throw abortedError(where, options.signal)
      const checked = checkInputs(name, bindings.inputs, inputs)
      const result = work.track(run(options.transfer ? takeTensors(checked) : checked, options))
      return Object.fromEntries(
        await (options.signal ? abortable(result, options.signal, where) : result),
      ) as Outputs<CompactBindings>
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
  return model

  function open(): Promise<Opened> {
    opening ??= openVariant(manifest, folder, options).then(
      (result) => (opened = result),
      (error: unknown) => {
        opening = undefined
        throw error
      },
    )
    return opening
  }

  async function run(
    inputs: ReadonlyMap<string, CheckedTensor>,
    options: InferOptions,
  ): Promise<ReadonlyMap<string, CheckedTensor>> {
    if (opened) return opened.session.infer(inputs, options)
    // The caller may change its arrays as soon as infer() has returned, which is before the engine is open.
    const own = options.transfer ? inputs : copyTensors(inputs)
    return (await open()).session.infer(own, { ...options, transfer: true })
  }

  function dispose(): Promise<void> {
    disposing ??= (async () => {
      await work.settled()
      await opened?.session.dispose()
      opened = undefined
    })()
    return disposing
  }

  function refuseDisposed(): void {
    if (disposing)
      throw new OnnxEngineError('DISPOSED', where, { expected: 'a model in use', received: 'a disposed one' })
  }
}
