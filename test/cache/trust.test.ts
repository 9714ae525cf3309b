import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { folderAt } from '../../plugin/cache/folder.ts'
import { checkFolder } from '../../plugin/cache/trust.ts'
import { tempFolder } from '../support/helpers.ts'

afterEach(() => void vi.unstubAllEnvs())

const isRoot = process.getuid?.() === 0

function cacheFolder(): string {
  const dir = tempFolder()
  mkdirSync(join(dir, 'v1', 'tmp'), { recursive: true })
  return dir
}

describe.skipIf(process.platform === 'win32')('a cache folder that others can fill is refused', () => {
  test.each<[title: string, spoil: (dir: string) => void, received: RegExp]>([
    ['everybody can write it', (dir) => chmodSync(dir, 0o777), /one that everybody can write \(mode 777\)/],
    ['everybody can write what is in it', (dir) => chmodSync(join(dir, 'v1'), 0o777), /one that everybody can write/],
  ])('because %s', async (_, spoil, received) => {
    const dir = cacheFolder()
    spoil(dir)
    const refused = { code: 'CACHE_FAILED', message: expect.stringMatching(received) }
    await expect(checkFolder(folderAt(dir))).rejects.toMatchObject(refused)
    vi.stubEnv('UNPLUGIN_ONNX_TRUST_CACHE', '1')
    await expect(checkFolder(folderAt(dir))).resolves.toBeUndefined()
  })

  // Only root can give a folder to another user.
  test.skipIf(!isRoot)('because it is of another user, unless sudo says that it is that user', async () => {
    const dir = cacheFolder()
    chownSync(dir, 4321, 4321)
    await expect(checkFolder(folderAt(dir))).rejects.toMatchObject({
      code: 'CACHE_FAILED',
      message: expect.stringMatching(/one of the user 4321, .*UNPLUGIN_ONNX_TRUST_CACHE=1/),
    })
    vi.stubEnv('SUDO_UID', '4321')
    await expect(checkFolder(folderAt(dir))).resolves.toBeUndefined()
  })

  test.each(['private', 'of the sticky bit, as /tmp', 'missing'])('but not one that is %s', async (kind) => {
    const dir = kind === 'missing' ? join(tempFolder(), 'none') : cacheFolder()
    if (kind.startsWith('of')) chmodSync(dir, 0o1777)
    await expect(checkFolder(folderAt(dir))).resolves.toBeUndefined()
  })

  test.each(['tmp', 'content-v2', 'index-v5', 'locks', 'imports', 'used', 'leases'])(
    'because its %s is a link or a file, whatever the environment says',
    async (name) => {
      vi.stubEnv('UNPLUGIN_ONNX_TRUST_CACHE', '1')
      const dir = tempFolder()
      const outside = tempFolder()
      mkdirSync(join(dir, 'v1'))
      symlinkSync(outside, join(dir, 'v1', name))
      await expect(checkFolder(folderAt(dir))).rejects.toMatchObject({
        code: 'CACHE_FAILED',
        message: expect.stringContaining('received a link'),
      })
      const other = tempFolder()
      mkdirSync(join(other, 'v1'))
      writeFileSync(join(other, 'v1', name), '')
      await expect(checkFolder(folderAt(other))).rejects.toMatchObject({ code: 'CACHE_FAILED' })
    },
  )
})
