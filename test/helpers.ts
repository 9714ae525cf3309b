import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** A fresh folder that is removed after the test file has run. Its name has a space and an umlaut, as users' folders do. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'unplugin-onnx tüst-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
