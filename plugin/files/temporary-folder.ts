import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Gives `use` a fresh folder inside `parent` (the system's folder for temporary files when absent), and removes it with
 * all that is in it.
 */
export async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>, parent: string = tmpdir()): Promise<T> {
  const folder = await mkdtemp(join(parent, 'unplugin-onnx-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
