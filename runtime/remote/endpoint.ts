import { abortedError } from '../abort.ts'
import { OnnxEngineError } from '../errors.ts'
import type { Bindings } from '../manifest.ts'
import type { CheckedTensor } from '../session.ts'
import { bindingsOf, describesBindings, refuseDifferences } from './differences.ts'
import { mismatch } from './failures.ts'
import { readOutputs } from './outputs.ts'
import type { Attempt, InferRequest, ServedModel, Target, Transport } from './transport.ts'

export type Outputs = ReadonlyMap<string, CheckedTensor>

/** What is known about a server once it was asked. */
export interface Checked {
  readonly served: ServedModel
  /** The app's own bindings, or else those that the server describes. */
  readonly bindings: Bindings
}

/** One server. Its model is checked before the first call, and again whenever the connection was lost. */
export interface Endpoint {
  readonly url: string
  /** Whether the last attempt found no connection, less than a second ago. */
  down(): boolean
  check(expected: Bindings | undefined): Promise<Attempt<Checked>>
  infer(request: Omit<InferRequest, 'outputs'>, bindings: Bindings): Promise<Attempt<Outputs>>
  close(): void
}

const downMs = 1000

export function createEndpoint(target: Target): Endpoint {
  const { subject, version } = target
  let opening: Promise<Transport> | undefined
  let checking: Promise<Attempt<Checked>> | undefined
  let transport: Transport | undefined
  let downSince = -Infinity
  return {
    url: `${target.url.protocol}//${target.url.host}`,
    down: () => performance.now() - downSince < downMs,
    check,
    infer,
    close: () => transport?.close(),
  }

  function check(expected: Bindings | undefined): Promise<Attempt<Checked>> {
    checking ??= describe(expected).then(
      (attempt) => {
        if ('unsent' in attempt) forget()
        return attempt
      },
      (error: unknown) => {
        forget()
        // A server that is live but not ready yet: the inference itself was not sent.
        if (error instanceof OnnxEngineError && error.code === 'SERVER_UNAVAILABLE') return { unsent: error.message }
        throw error
      },
    )
    return checking
  }

  function forget(): void {
    checking = undefined
    downSince = performance.now()
  }

  async function describe(expected: Bindings | undefined): Promise<Attempt<Checked>> {
    opening ??= openTransport(target)
    transport = await opening
    const attempt = await transport.describe()
    return 'unsent' in attempt ? attempt : { value: checkedModel(target, attempt.value, expected) }
  }

  async function infer(request: Omit<InferRequest, 'outputs'>, bindings: Bindings): Promise<Attempt<Outputs>> {
    // Another process may answer on a new connection: a server that was restarted with another model.
    if (transport && !transport.connected()) checking = undefined
    const checked = await check(bindings)
    if ('unsent' in checked) return checked
    if (!transport) throw new TypeError('a server that was checked has a transport')
    if (request.signal?.aborted) throw abortedError(subject, request.signal.reason)
    try {
      const attempt = await transport.infer({ ...request, outputs: bindings.outputs })
      if ('unsent' in attempt) {
        forget()
        return attempt
      }
      const { outputs, version: ran } = attempt.value
      if (version !== undefined && ran !== version) throw wrongVersion(subject, version, ran === '' ? [] : [ran])
      return { value: readOutputs(subject, bindings.outputs, outputs) }
    } catch (error) {
      if (error instanceof OnnxEngineError && error.code === 'SERVER_UNAVAILABLE') checking = undefined
      throw error
    }
  }
}

function checkedModel({ subject, version }: Target, served: ServedModel, expected: Bindings | undefined): Checked {
  // A server may name no versions and still refuse unknown ones: then the version of each answer decides.
  const { versions } = served
  if (version !== undefined && versions.length > 0 && !versions.includes(version))
    throw wrongVersion(subject, version, versions)
  if (expected && describesBindings(served)) refuseDifferences(subject, expected, served)
  return { served, bindings: expected ?? bindingsOf(subject, served) }
}

function wrongVersion(subject: string, expected: string, versions: readonly string[]): OnnxEngineError {
  const hint = 'Leave the option version out to run the version that the server chooses.'
  const received = versions.length === 0 ? 'an answer that names no version' : versions.join(', ')
  return mismatch(subject, `version ${JSON.stringify(expected)}`, received, hint)
}

async function openTransport(target: Target): Promise<Transport> {
  if (target.url.protocol.startsWith('grpc')) return (await import('./grpc.ts')).createGrpcTransport(target)
  return (await import('./http.ts')).createHttpTransport(target)
}
