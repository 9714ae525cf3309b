import type { ModelManifest, VariantManifest } from '../../runtime/manifest.ts'
import type { Compiled, Variant } from '../compile.ts'
import type { EngineCode } from './asset.ts'

/**
 * The manifest of a compiled model, with `files` in the order of its variants: paths relative to the manifest's own
 * folder, or absolute file URLs. It depends on the model and its engines only, so a cache hit and a miss give the same
 * text.
 */
export function modelManifest({ name, bindings, variants }: Compiled, files: readonly string[]): ModelManifest {
  // The compiler relates `backend` and `requires` inside Variant, but not after they were taken apart.
  return {
    schema: 1,
    name,
    bindings,
    variants: variants.map((variant, index) => ({ file: files[index], ...facts(variant) }) as VariantManifest),
  }
}

/**
 * The JavaScript module that stands for an imported model: its manifest as data and one call into the runtime.
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

function facts({ backend, engine, artifact: { size, sha256 }, requires }: Variant): object {
  return { backend, engine, size, sha256, requires }
}

// JSON is JavaScript but for one key: a plain "__proto__" would set the prototype, and an input may be called that.
function literal(value: unknown): string {
  return JSON.stringify(value).replaceAll('"__proto__":', '["__proto__"]:')
}
