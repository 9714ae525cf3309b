import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Bun's own binary: its package would put it in place by an install script. */
export function bunBinary(): string | undefined {
  const folder = fileURLToPath(new URL('../node_modules/@oven', import.meta.url))
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.map((name) => join(folder, name, 'bin', process.platform === 'win32' ? 'bun.exe' : 'bun')).find((file) => existsSync(file))
}
