import { importFilter } from './bundler/context.ts'
import { unpluginOnnx } from './index.ts'
import { modelFilter } from './options/query.ts'

/**
 * The plugin for Bun's bundler, for ES modules.
 *
 * @example
 *   ;```ts
 *   // build.js
 *   import onnx from 'unplugin-onnx/bun'
 *   await Bun.build({ entrypoints: ['src/main.js'], target: 'node', outdir: 'dist', plugins: [onnx()] })
 *   ```
 */
const onnx: typeof unpluginOnnx.bun = (options) => {
  const plugin = unpluginOnnx.bun(options)
  // unplugin asks for every module of an app, each time across threads.
  return { ...plugin, setup: (build: Build) => plugin.setup(narrowed(build)) }
}
export default onnx

/** The part of Bun's own build that this is about. */
interface Build {
  onResolve(where: Where, callback: unknown): unknown
  onLoad(where: Where, callback: unknown): unknown
}

interface Where {
  readonly filter: RegExp
}

function narrowed(build: Build): Build {
  return Object.assign(Object.create(build) as Build, {
    onResolve: (where: Where, callback: unknown) => build.onResolve(narrow(where, importFilter), callback),
    onLoad: (where: Where, callback: unknown) => build.onLoad(narrow(where, modelFilter), callback),
  })
}

function narrow(where: Where, filter: RegExp): Where {
  return where.filter.source === '.*' ? { ...where, filter } : where
}
