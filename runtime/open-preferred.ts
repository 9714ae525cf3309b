import { OnnxEngineError } from './errors.ts'
import type { ModelManifest } from './manifest.ts'
import { openVariant, tryVariants } from './open-variant.ts'
import type { OpenedVariant } from './opened-variant.ts'
import type { LoadOptions, RemoteOptions } from './options.ts'
import type { SkippedVariant } from './types.ts'

/**
 * Opens a model here or on a server, in the order that the options of load() or of the build give. What was tried first
 * and could not be used is in `skipped` of the variant. A server with another model is an error, not a reason to fall
 * back.
 */
export async function openPreferred(
  manifest: ModelManifest,
  folder: string,
  options: LoadOptions,
): Promise<OpenedVariant> {
  const { remote = manifest.server, ...local } = options
  if (!remote || options.require !== undefined) return openVariant(manifest, folder, local)
  if (remote.first === 'remote' && manifest.variants.length > 0) {
    const opened = await tryRemote(manifest, remote)
    return 'session' in opened ? opened : withSkipped(await openVariant(manifest, folder, local), [opened])
  }
  const opened = await tryVariants(manifest, folder, local)
  if ('session' in opened) return withServer(opened, manifest, remote)
  return withSkipped(await openServer(manifest, remote), opened.skipped)
}

/** After the last variant comes the server. */
function withServer(opened: OpenedVariant, manifest: ModelManifest, remote: RemoteOptions): OpenedVariant {
  const { backend, engine, skipped } = opened.variant
  return {
    ...opened,
    async next(reason) {
      const other = (await opened.next?.(reason)) ?? { skipped: [...skipped, { backend, engine, reason }] }
      if ('session' in other) return withServer(other, manifest, remote)
      const server = await tryRemote(manifest, remote)
      return 'session' in server ? withSkipped(server, other.skipped) : { skipped: [...other.skipped, server] }
    },
  }
}

async function tryRemote(manifest: ModelManifest, remote: RemoteOptions): Promise<OpenedVariant | SkippedVariant> {
  try {
    return await openServer(manifest, remote)
  } catch (error) {
    if (!(error instanceof OnnxEngineError) || !unreachable.has(error.code)) throw error
    return { backend: 'remote', engine: undefined, reason: error.message }
  }
}

const unreachable: ReadonlySet<string> = new Set(['SERVER_UNAVAILABLE', 'BACKEND_UNAVAILABLE'])

async function openServer({ name, bindings }: ModelManifest, remote: RemoteOptions): Promise<OpenedVariant> {
  const { first: _, ...server } = remote
  const { openRemote } = await import('./remote/pool.ts')
  return openRemote({ ...server, model: server.model ?? name, bindings })
}

function withSkipped({ session, variant, next }: OpenedVariant, before: readonly SkippedVariant[]): OpenedVariant {
  return {
    session,
    variant: { ...variant, skipped: [...before, ...variant.skipped] },
    next:
      next &&
      (async (reason) => {
        const other = await next(reason)
        return 'session' in other ? withSkipped(other, before) : { skipped: [...before, ...other.skipped] }
      }),
  }
}
