import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openKernelCache } from '../../runtime/tensorrt/kernel-cache.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()

describe('kernel cache', () => {
  test('kernels are kept for the next start', async () => {
    expect(await openKernelCache(kernelFile('kept')).read()).toEqual(new Uint8Array(0))
    await openKernelCache(kernelFile('kept')).save(bytes(100))
    expect(new Uint8Array(await openKernelCache(kernelFile('kept')).read())).toEqual(bytes(100))
  })

  test.each([
    ['truncated', (stored: Buffer) => stored.subarray(0, 50)],
    ['with a flipped bit', (stored: Buffer) => stored.map((byte, index) => (index === 60 ? byte ^ 1 : byte))],
    ['empty', () => Buffer.alloc(0)],
  ])('a cache file that is %s is ignored', async (name, damage) => {
    await openKernelCache(kernelFile(name)).save(bytes(100))
    writeFileSync(kernelFile(name), damage(readFileSync(kernelFile(name))))
    expect(await openKernelCache(kernelFile(name)).read()).toEqual(new Uint8Array(0))
  })

  test('many writers at once leave one whole file', async () => {
    await Promise.all(
      Array.from({ length: 8 }, (_, value) => openKernelCache(kernelFile('many')).save(bytes(10_000, value))),
    )
    expect(new Set(await openKernelCache(kernelFile('many')).read()).size).toBe(1)
    expect(readdirSync(join(folder, 'kernels-many'))).toEqual(['engine'])
  })

  test('a start that compiled nothing writes nothing', async () => {
    await openKernelCache(kernelFile('same')).save(bytes(100))
    const cache = openKernelCache(kernelFile('same'))
    const kernels = new Uint8Array(await cache.read())
    utimesSync(kernelFile('same'), 1000, 1000)
    await cache.save(kernels)
    expect(statSync(kernelFile('same')).mtimeMs).toBe(1_000_000)
  })

  test('too large kernels are not kept, others push out the least recently used', async () => {
    const limits = { file: 100, folder: 300 }
    const place = (name: string) => join(folder, 'kernels-bounded', name)
    await openKernelCache(place('large'), limits).save(bytes(101))
    for (const [index, name] of ['a', 'b'].entries()) {
      await openKernelCache(place(name), limits).save(bytes(100))
      utimesSync(place(name), 1000 + index, 1000 + index)
    }
    await openKernelCache(place('a'), limits).read()
    await openKernelCache(place('c'), limits).save(bytes(100))
    expect(readdirSync(join(folder, 'kernels-bounded')).sort()).toEqual(['a', 'c'])
  })

  // Node's own recursive mkdir never ends below /proc.
  test.each([join(folder, 'a file'), ...(process.platform === 'linux' ? ['/proc/unplugin-onnx/kernels'] : [])])(
    'a folder below %s that cannot be written is no failure',
    async (place) => {
      writeFileSync(join(folder, 'a file'), '')
      await expect(openKernelCache(join(place, 'engine')).save(bytes(100))).resolves.toBeUndefined()
    },
  )
})

function kernelFile(name: string): string {
  return join(folder, `kernels-${name}`, 'engine')
}

function bytes(size: number, value = 1): Uint8Array {
  return new Uint8Array(size).fill(value)
}
