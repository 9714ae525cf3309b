import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { globSync } from 'tinyglobby'
import type { TestProject } from 'vitest/node'

const commands = [
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
  ['node_modules/vite/bin/vite.js', 'build', 'plugin/view/page'],
]

/** Builds `dist`, from which child processes and workers start, when a source file is newer. */
export function setup({ config: { root } }: TestProject): void {
  const sources = globSync('{plugin,runtime,native}/**/*.{ts,tsx,mts,cts,css,html}', { cwd: root })
  const newest = Math.max(...sources.map((file) => statSync(join(root, file)).mtimeMs))
  const built = statSync(join(root, 'dist', 'plugin', 'cli.js'), { throwIfNoEntry: false })
  if (built && built.mtimeMs >= newest) return
  // Vitest's own value makes Vite build a page for development, which is larger than the one that is published.
  const env = { ...process.env, NODE_ENV: 'production' }
  for (const command of commands) execFileSync(process.execPath, command, { cwd: root, env, stdio: 'inherit' })
}
