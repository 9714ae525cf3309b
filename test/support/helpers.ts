import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/**
 * A fresh folder that is removed after the test file has run. Its name has a space and an umlaut, as users' folders do.
 */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'unplugin-onnx tüst-'))
  folders.push(folder)
  return folder
}

// Registered once, while the file loads: vitest forgets a hook that a running test adds.
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * The compilers that this process has started, by process id. Linux only: other systems list processes in other ways.
 */
export function compilers(): readonly number[] {
  const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' })
  return [...children.matchAll(/^\s*(\d+) .*child[/\\]main\.js/gm)].map(([, pid]) => Number(pid))
}
