import type { ModelManifest, VariantManifest } from '../../runtime/manifest.ts'
import type { Compiled, Variant } from './variant.ts'

/**
 * The manifest of a compiled model, with `files` in the order of its variants: paths relative to the manifest's own
 * folder, or absolute file URLs. It depends on the model and its engines only, so a cache hit and a miss give the same
 * text.
 */
export function modelManifest({ name, bindings, variants, server }: Compiled, files: readonly string[]): ModelManifest {
  // The compiler relates `backend` and `requires` inside Variant, but not after they were taken apart.
  return {
    schema: 1,
    name,
    bindings,
    variants: variants.map((variant, index) => ({ file: files[index], ...facts(variant) }) as VariantManifest),
    ...(server && { server }),
  }
}

export function facts({ backend, engine, artifact: { size, sha256 }, requires, verified }: Variant): object {
  return { backend, engine, size, sha256, requires, ...(!verified && { verified: false }) }
}
