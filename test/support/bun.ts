import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Bun's own binary: its package would put it in place by an install script. */
export function bunBinary(): string | undefined {
  // The benchmarks are compiled into another folder.
  const folder = join(
    dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json')),
    'node_modules',
    '@oven',
  )
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names
    .map((name) => join(folder, name, 'bin', process.platform === 'win32' ? 'bun.exe' : 'bun'))
    .find((file) => existsSync(file))
}
