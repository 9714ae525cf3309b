import { modelManifest, facts } from '../compile/manifest.ts'
import type { Compiled } from '../compile/variant.ts'
import type { EngineCode } from './location.ts'
import { type WebFile, webFiles } from './web-files.ts'
import type { WebLibrary } from './web-library.ts'

/** The library of a page as code: a place for each of its files. */
export interface LibraryCode {
  readonly places: Readonly<Record<WebFile, EngineCode>>
  readonly library: WebLibrary
}

export interface ModuleNeeds {
  /** The library of a page. */
  readonly web?: LibraryCode | undefined
  /** The specifier of the runtime. Default: this package's, which hooks of bundlers resolve. */
  readonly runtime?: string
}

/**
 * The JavaScript module that an import of a model evaluates: the manifest as data and one call into the runtime.
 * `engines` are in the order of the variants. In a page, the runtime needs a library as well.
 */
export function moduleText(
  compiled: Compiled,
  engines: readonly EngineCode[],
  { web, runtime = web ? 'unplugin-onnx/web' : 'unplugin-onnx/runtime' }: ModuleNeeds = {},
): string {
  const { schema, name, bindings, server } = modelManifest(compiled, [])
  const rows = compiled.variants.map(
    (variant, index) => `    { "file": ${engines[index]?.location}, ${literal(facts(variant)).slice(1)},`,
  )
  const codes = [...engines, ...Object.values(web?.places ?? {})]
  return [
    `import { createModel } from '${runtime}'`,
    ...new Set(codes.flatMap(({ prelude = [] }) => prelude)),
    '',
    'export default /* #__PURE__ */ createModel({',
    `  "schema": ${schema},`,
    `  "name": ${literal(name)},`,
    `  "bindings": ${literal(bindings)},`,
    ...(server ? [`  "server": ${literal(server)},`] : []),
    '  "variants": [',
    ...rows,
    '  ],',
    ...(web ? ['}, {', ...libraryRows(web), '})'] : ['})']),
    '',
  ].join('\n')
}

function libraryRows({ places, library }: LibraryCode): readonly string[] {
  const rows = webFiles.map((name) => {
    const { size, sha256 } = library.files[name]
    return `  ${literal(name)}: { "file": ${places[name].location}, ${literal({ size, sha256 }).slice(1)},`
  })
  return [...rows, `  ...${literal(library.facts)},`]
}

/**
 * JSON as JavaScript, which it is except for one key: a plain "**proto**" would set the prototype, and an input may
 * have that name.
 */
export function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll('"__proto__":', '["__proto__"]:')
}
