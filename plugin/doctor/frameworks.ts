import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConfigEdit } from './edit-config.ts'

/** A framework or bundler, and how its configuration takes the plugin. */
export interface Framework {
  readonly name: string
  /** Names of its configuration files without their extension. */
  readonly files: readonly string[]
  readonly edit: ConfigEdit
}

/** A framework with the configuration file of an app. */
export interface FoundFramework extends Framework {
  /** Absolute path. */
  readonly file: string
}

// A framework comes before the bundler that it is made of.
const frameworks: readonly Framework[] = [
  { name: 'Nuxt', files: ['nuxt.config'], edit: { entry: 'vite', path: ['vite', 'plugins'] } },
  { name: 'Astro', files: ['astro.config'], edit: { entry: 'vite', path: ['vite', 'plugins'] } },
  { name: 'Next.js', files: ['next.config'], edit: { entry: 'webpack', path: ['webpack', '()'] } },
  { name: 'Vite', files: ['vite.config'], edit: { entry: 'vite', path: ['plugins'] } },
  { name: 'Vitest', files: ['vitest.config'], edit: { entry: 'vite', path: ['plugins'] } },
  { name: 'Rspack', files: ['rspack.config'], edit: { entry: 'rspack', path: ['plugins'] } },
  { name: 'webpack', files: ['webpack.config'], edit: { entry: 'webpack', path: ['plugins'] } },
  { name: 'Rolldown', files: ['rolldown.config'], edit: { entry: 'rolldown', path: ['plugins'] } },
  { name: 'Rollup', files: ['rollup.config'], edit: { entry: 'rollup', path: ['plugins'] } },
  { name: 'Farm', files: ['farm.config'], edit: { entry: 'farm', path: ['plugins'] } },
]

const extensions = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs']

/** The framework of an app, by the configuration files in its folder; SvelteKit's is that of Vite. */
export function findFramework(root: string): FoundFramework | undefined {
  for (const framework of frameworks) {
    for (const name of framework.files.flatMap((file) => extensions.map((extension) => `${file}.${extension}`))) {
      const file = join(root, name)
      if (existsSync(file)) return { ...framework, name: fullName(framework.name, root), file }
    }
  }
  return findBuildScript(root)
}

function fullName(name: string, root: string): string {
  return name === 'Vite' && existsSync(join(root, 'svelte.config.js')) ? 'SvelteKit (Vite)' : name
}

// esbuild and Bun have no configuration file: a script calls them.
function findBuildScript(root: string): FoundFramework | undefined {
  const scripts = filesIn(root).filter((name) => /^(?:esbuild|build|esbuild\.config)\.[cm]?[jt]s$/.test(name))
  for (const name of scripts) {
    const file = join(root, name)
    const source = readFileSync(file, 'utf8')
    if (/['"]esbuild['"]/.test(source)) return scriptOf('esbuild', 'esbuild', file)
    if (source.includes('Bun.build')) return scriptOf('Bun', 'bun', file)
  }
  return undefined
}

function scriptOf(name: string, entry: string, file: string): FoundFramework {
  return { name, files: [], edit: { entry, path: ['build()', 'plugins'] }, file }
}

function filesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}
