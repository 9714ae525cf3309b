import { modelManifest, facts } from '../compile/manifest.ts'
import type { Compiled } from '../compile/variant.ts'
import type { EngineCode } from './location.ts'

/**
 * The JavaScript module that an import of a model evaluates: the manifest as data and one call into the runtime.
 * `engines` are in the order of the variants.
 */
export function moduleText(compiled: Compiled, engines: readonly EngineCode[]): string {
  const { schema, name, bindings } = modelManifest(compiled, [])
  const rows = compiled.variants.map(
    (variant, index) => `    { "file": ${engines[index]?.location}, ${literal(facts(variant)).slice(1)},`,
  )
  return [
    `import { createModel } from 'unplugin-onnx/runtime'`,
    ...new Set(engines.flatMap(({ prelude = [] }) => prelude)),
    '',
    'export default /* #__PURE__ */ createModel({',
    `  "schema": ${schema},`,
    `  "name": ${literal(name)},`,
    `  "bindings": ${literal(bindings)},`,
    '  "variants": [',
    ...rows,
    '  ],',
    '})',
    '',
  ].join('\n')
}

// JSON is JavaScript except for one key: a plain "__proto__" would set the prototype, and an input may have that name.
function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll('"__proto__":', '["__proto__"]:')
}
