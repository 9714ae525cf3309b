import { execFile } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createBrotliDecompress } from 'node:zlib'

const cache = fileURLToPath(new URL('../../node_modules/.cache/chromium', import.meta.url))

/** A Chromium of our own, and the folder of the libraries that a small system lacks. */
export interface UnpackedChromium {
  readonly executablePath: string
  readonly libraries: string
}

/** Unpacks the browser that is compressed in the folder of a package, once for each version. */
export async function unpackChromium(packageFolder: string): Promise<UnpackedChromium> {
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  const folder = join(cache, version)
  if (!existsSync(folder)) await unpack(join(packageFolder, 'bin'), folder)
  return { executablePath: join(folder, 'chromium'), libraries: join(folder, 'lib') }
}

async function unpack(bin: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  const decompress = (name: string, target: string) =>
    pipeline(
      createReadStream(join(bin, name)),
      createBrotliDecompress(),
      createWriteStream(join(temporary, target), { mode: 0o755 }),
    )
  await decompress('chromium.br', 'chromium')
  for (const archive of ['al2023.tar', 'swiftshader.tar']) {
    await decompress(`${archive}.br`, archive)
    await promisify(execFile)('tar', ['-xf', archive], { cwd: temporary })
    await rm(join(temporary, archive))
  }
  // Another process may have been quicker.
  await rename(temporary, folder).catch(() => rm(temporary, { recursive: true, force: true }))
}
