import type { AdapterFactory, BundlerName } from './adapter.ts'
import { bunAdapter } from './bun.ts'
import { esbuildAdapter } from './esbuild.ts'
import { farmAdapter } from './farm.ts'
import { rollupAdapter } from './rollup.ts'
import { viteAdapter } from './vite.ts'
import { webpackAdapter } from './webpack.ts'

/** The adapter of each bundler. The entry of a bundler imports its own adapter directly, and so starts faster. */
export const adapters: Readonly<Record<BundlerName, AdapterFactory>> = {
  bun: bunAdapter,
  esbuild: esbuildAdapter,
  farm: farmAdapter,
  rolldown: rollupAdapter,
  rollup: rollupAdapter,
  rsbuild: webpackAdapter,
  rspack: webpackAdapter,
  unloader: rollupAdapter,
  vite: viteAdapter,
  webpack: webpackAdapter,
}
