import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { EngineAsset } from '../../plugin/emit/asset.ts'
import { copyEngine, readEngine } from '../../plugin/emit/copy-engine.ts'
import { rollupAssets } from '../../plugin/emit/rollup.ts'
import { holdFile } from '../../plugin/files/held-files.ts'
import { tempFolder } from '../support/helpers.ts'

function setUp(): { asset: EngineAsset; output: string; target: string } {
  const folder = tempFolder()
  const source = join(folder, 'engine')
  writeFileSync(source, 'engine')
  const sha256 = createHash('sha256').update('engine').digest('hex')
  const asset = { name: 'pose-onnxruntime-0123456789.ort', source, size: 6, sha256 }
  return { asset, output: join(folder, 'out'), target: join(folder, 'out', asset.name) }
}

describe('an engine in the output', () => {
  test.each<[title: string, damage: (target: string) => void]>([
    ['other bytes of the same size', (target) => writeFileSync(target, 'Engine')],
    ['a truncated engine', (target) => writeFileSync(target, 'eng')],
    [
      'a folder',
      (target) => {
        rmSync(target)
        mkdirSync(join(target, 'inside'), { recursive: true })
      },
    ],
  ])('replaces %s', async (_, damage) => {
    const { asset, output, target } = setUp()
    await copyEngine(asset, output)
    damage(target)
    await copyEngine(asset, output)
    expect(readFileSync(target, 'utf8')).toBe('engine')
  })

  test.skipIf(process.platform === 'win32')('is copied although the cache has lost it meanwhile', async () => {
    const { asset, output, target } = setUp()
    holdFile(asset.source)
    rmSync(asset.source)
    await copyEngine(asset, output)
    expect(readFileSync(target, 'utf8')).toBe('engine')
    expect((await readEngine(asset)).toString()).toBe('engine')
  })

  test('that nobody has any more is an error with the cure, and leaves nothing', async () => {
    const { asset, output } = setUp()
    rmSync(asset.source)
    const expected = { code: 'CACHE_FAILED', message: expect.stringContaining('Build again') }
    await expect(copyEngine(asset, output)).rejects.toMatchObject(expected)
    await expect(readEngine(asset)).rejects.toMatchObject(expected)
  })
})

test('text that looks like the placeholder of an engine, such as the name of an input, stays as it is', async () => {
  const { asset } = setUp()
  const { engine, hooks } = rollupAssets(
    () => '',
    () => {},
  )
  const { location } = engine(asset)
  const others = [
    '"__ONNX_ENGINE_x__"',
    `"__ONNX_ENGINE_${asset.name}__"`,
    `"__ONNX_ENGINE_${'0'.repeat(64)}_${asset.name}__"`,
  ].join()
  const chunk = await hooks.renderChunk.handler(`[${location},${others}]`, { fileName: 'a.js' }, { format: 'es' })
  expect(chunk?.code).toContain(others)
  expect(chunk?.code).toContain(`new URL("./${asset.name}"`)
})
