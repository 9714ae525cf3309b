import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that is removed, with all that is in it, at the end of the block that holds it by `await using`. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/** Makes a fresh folder inside `parent`: the system's folder for temporary files when absent. */
export async function temporaryFolder(parent: string = tmpdir()): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(parent, 'unplugin-onnx-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
