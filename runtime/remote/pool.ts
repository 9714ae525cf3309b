import { setTimeout as pause } from 'node:timers/promises'
import { abortable, abortedError } from '../abort.ts'
import type { OnnxEngineError } from '../errors.ts'
import type { Bindings } from '../manifest.ts'
import type { OpenedVariant } from '../opened-variant.ts'
import type { ServerOptions } from '../server-options.ts'
import type { Session } from '../session.ts'
import { copyTensors } from '../tensor-memory.ts'
import { modelSubject } from '../text.ts'
import { createEndpoint, type Checked, type Endpoint, type Outputs } from './endpoint.ts'
import { unavailable } from './failures.ts'
import { bindingsIn, targetsOf } from './options.ts'
import type { InferRequest } from './transport.ts'

/** A model on servers, ready to be called. */
export interface OpenedRemote extends OpenedVariant {
  readonly bindings: Bindings
}

/**
 * Connects to the servers of a model, of which at least one must be ready. Each call goes to the next server, and to
 * another one only if nothing was sent. Throws OPTION_INVALID, SERVER_UNAVAILABLE, SERVER_MISMATCH, and
 * BACKEND_UNAVAILABLE if gRPC is not installed.
 */
export async function openRemote(options: ServerOptions): Promise<OpenedRemote> {
  const endpoints = targetsOf(options).map(createEndpoint)
  const subject = modelSubject(options.model)
  const retries = options.retries ?? 2
  const expected = bindingsIn(options.bindings)
  try {
    const { served, bindings, url } = await firstChecked(endpoints, { subject, retries, expected })
    return {
      bindings,
      session: createPool(endpoints, { subject, retries, bindings }),
      variant: {
        backend: 'remote',
        engine: undefined,
        session: 'server',
        skipped: [],
        server: { url, platform: served.platform, versions: served.versions },
      },
    }
  } catch (error) {
    endpoints.forEach((endpoint) => endpoint.close())
    throw error
  }
}

interface Connecting {
  readonly subject: string
  readonly retries: number
  readonly expected: Bindings | undefined
}

/** The first server that is ready. All are asked, so that a wrong model on any of them is found now. */
async function firstChecked(
  endpoints: readonly Endpoint[],
  { subject, retries, expected }: Connecting,
): Promise<Checked & { readonly url: string }> {
  for (let round = 0; ; round++) {
    let found: (Checked & { readonly url: string }) | undefined
    const reasons: string[] = []
    for (const endpoint of endpoints) {
      const attempt = await endpoint.check(expected ?? found?.bindings)
      if ('unsent' in attempt) reasons.push(`${endpoint.url}: ${attempt.unsent}`)
      else found ??= { ...attempt.value, url: endpoint.url }
    }
    if (found) return found
    if (round >= retries) throw noServer(subject, reasons)
    await pause(pauseAfter(round))
  }
}

interface PoolSettings {
  readonly subject: string
  readonly retries: number
  readonly bindings: Bindings
}

function createPool(endpoints: readonly Endpoint[], { subject, retries, bindings }: PoolSettings): Session {
  let turn = 0
  return {
    kind: 'server',
    // What the caller gave is sent: the server has the default of what was left out.
    optionalInputs: 'any',
    infer(inputs, { signal, transfer }) {
      // The bytes are sent later than this call returns.
      return inferOnAny({ inputs: transfer ? inputs : copyTensors(inputs), signal })
    },
    async dispose() {
      endpoints.forEach((endpoint) => endpoint.close())
    },
  }

  async function inferOnAny(request: Omit<InferRequest, 'outputs'>): Promise<Outputs> {
    for (let round = 0; ; round++) {
      const reasons: string[] = []
      for (const endpoint of inTurn()) {
        if (request.signal?.aborted) throw abortedError(subject, request.signal.reason)
        const attempt = await endpoint.infer(request, bindings)
        if ('value' in attempt) return attempt.value
        reasons.push(`${endpoint.url}: ${attempt.unsent}`)
      }
      if (round >= retries) throw noServer(subject, reasons)
      const waiting = () => pause(pauseAfter(round))
      await (request.signal ? abortable(request.signal, subject, waiting) : waiting())
    }
  }

  // Servers that just refused a connection come last.
  function inTurn(): readonly Endpoint[] {
    const start = turn++ % endpoints.length
    const rotated = [...endpoints.slice(start), ...endpoints.slice(0, start)]
    return [...rotated.filter((endpoint) => !endpoint.down()), ...rotated.filter((endpoint) => endpoint.down())]
  }
}

function pauseAfter(round: number): number {
  return 100 * 4 ** round
}

function noServer(subject: string, reasons: readonly string[]): OnnxEngineError {
  const hint = 'Check the URL, and that the server runs and is ready.'
  return unavailable(subject, `no connection (${reasons.join('; ')})`, hint)
}
