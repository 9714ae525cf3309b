/** Loads an entry that npm gets, with the types of the sources. */
export function published<Name extends keyof Entries>(name: Name): () => Promise<Entries[Name]> {
  const file = new URL(`../../../packages/unplugin-onnx/dist/plugin/${name}.js`, import.meta.url)
  return async () => (await import(file.href)) as Entries[Name]
}

interface Entries {
  readonly vite: typeof import('unplugin-onnx/vite')
  readonly rollup: typeof import('unplugin-onnx/rollup')
  readonly rolldown: typeof import('unplugin-onnx/rolldown')
  readonly webpack: typeof import('unplugin-onnx/webpack')
  readonly rspack: typeof import('unplugin-onnx/rspack')
  readonly esbuild: typeof import('unplugin-onnx/esbuild')
  readonly farm: typeof import('unplugin-onnx/farm')
  readonly bun: typeof import('unplugin-onnx/bun')
}
