import { OnnxEngineError } from '../../runtime/errors.ts'
import type { RollupAssets } from '../emit/rollup.ts'
import type { Project } from '../project/project.ts'
import type { Refusal } from './adapter.ts'

/** What Vite's configuration shows of SvelteKit. */
interface SvelteKit {
  /** The name of the adapter; undefined without one. */
  readonly adapter: string | undefined
  /** Whether the adapter bundles the output again, and copies none of its files: SvelteKit 2. */
  readonly isBundledAgain: boolean
}

/** SvelteKit in a configuration of Vite; undefined for other apps. */
function svelteKitOf(
  plugins: readonly string[],
  define: Readonly<Record<string, unknown>> = {},
): SvelteKit | undefined {
  if (!plugins.includes('vite-plugin-sveltekit-compile')) return undefined
  const text = define['__SVELTEKIT_ADAPTER_NAME__']
  const adapter = typeof text === 'string' && text.startsWith('"') ? (JSON.parse(text) as string) : undefined
  return { adapter, isBundledAgain: !plugins.includes('vite-plugin-sveltekit-adapter') }
}

/** What Vite's plugin does for SvelteKit; nothing in other apps. */
export interface SvelteKitHooks {
  configResolved(plugins: readonly string[], define?: Readonly<Record<string, unknown>>): void
  isBundledAgain(): boolean
  /** Why models cannot run in the output of the adapter. */
  refusal(): Refusal | undefined
  /** The hook that runs after the adapter, which runs in the same hook. */
  closeBundle(assets: RollupAssets): {
    readonly order: 'post'
    readonly sequential: true
    handler(): Promise<void>
  }
}

export function svelteKitHooks(project: Project): SvelteKitHooks {
  const since = Date.now()
  let kit: SvelteKit | undefined
  return {
    configResolved(plugins, define) {
      kit = svelteKitOf(plugins, define)
    },
    isBundledAgain: () => kit?.isBundledAgain === true,
    refusal: () => kit && adapterRefusal(kit),
    closeBundle: (assets) => ({
      order: 'post',
      sequential: true,
      async handler() {
        if (kit?.isBundledAgain) await followAdapter(kit, { assets, project, since })
      },
    }),
  }
}

/** Why models cannot run in the output of an adapter. */
function adapterRefusal({ adapter = '' }: SvelteKit): Refusal | undefined {
  if (!/cloudflare/.test(adapter)) return undefined
  return {
    subject: `the adapter '${adapter}' of SvelteKit`,
    expected: 'an adapter whose output runs in Node.js, such as @sveltejs/adapter-node',
    received: `'${adapter}', of a runtime that loads no native code`,
    hint: 'Use another adapter, or call a server that runs the model',
  }
}

/**
 * Brings engines, and with `standalone` the runtime, into what the adapter made. Throws OUTPUT_FAILED when the adapter
 * for Node.js made nothing that is known to need them: the app would fail at its first request.
 */
async function followAdapter(
  { adapter }: SvelteKit,
  { assets, project, since }: { readonly assets: RollupAssets; readonly project: Project; readonly since: number },
): Promise<void> {
  const folders = await assets.follow(project.options.root, since)
  for (const folder of folders) project.writesTo(folder)
  await project.written()
  if (folders.length > 0 || adapter !== '@sveltejs/adapter-node' || !assets.isUsed()) return
  throw new OnnxEngineError('OUTPUT_FAILED', `the output of ${adapter}`, {
    expected: `a folder below ${project.options.root} with the code that imports models`,
    received: 'none',
    hint: `Set the option 'out' of the adapter to a folder of the app, or update to SvelteKit 3`,
  })
}
