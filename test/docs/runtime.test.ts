import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
const manifest = join(folder, 'engines', 'pose.json')
const page = readFileSync(new URL('../../docs/runtime.md', import.meta.url), 'utf8')
// Each block runs alone, and is named after the heading above it.
const blocks = page.split(/^## /m).flatMap((section, index) => {
  const heading = index === 0 ? 'the introduction' : (section.split('\n', 1)[0] ?? '').trim()
  return [...section.matchAll(/^```ts\r?\n(.*?)^```/gms)].map(([, block = '']) => ({ heading, block }))
})

beforeAll(async () => {
  mkdirSync(join(folder, 'engines'))
  const { variants, ...pose } = await ortManifest(join(folder, 'engines'), 'pose', {
    inputs: { image: 'float32[batch,3,448,448]' },
    outputs: { heatmap: 'float32[batch,3,56,56]' },
    nodes: [
      { op: 'MaxPool', inputs: ['image'], outputs: ['heatmap'], attributes: { kernel_shape: [8, 8], strides: [8, 8] } },
    ],
  })
  const relative = variants.map((variant) => ({ ...variant, file: basename(variant.file as string) }))
  writeFileSync(manifest, JSON.stringify({ ...pose, variants: relative }))
})

// Node knows `await using` from version 24 on: dispose() has tests of its own.
describe('docs/runtime.md', () => {
  test.each(blocks.map((block, index) => ({ ...block, number: index + 1 })))(
    'code block $number, in $heading, prints what its comments say',
    async ({ block, number }) => {
      const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href
      const given = /(const|using) pose\b/.test(block)
        ? ''
        : `const pose = await (await import(${JSON.stringify(runtime)})).loadModel(${JSON.stringify(manifest)})\n`
      const code = block
        .replaceAll(`'unplugin-onnx/runtime'`, JSON.stringify(runtime))
        .replaceAll(`'engines/pose.json'`, JSON.stringify(manifest))
        .replaceAll('await using', 'const')
      const path = join(folder, `block${number}.mjs`)
      writeFileSync(
        path,
        `${code.replace(/^(import .*\n)*/, '$&' + given + 'const data = new Float32Array(3 * 448 * 448)\n')}`,
      )
      const log = vi.spyOn(console, 'log').mockReturnValue()
      await import(pathToFileURL(path).href)
      const printed = log.mock.calls.map((values) => format(...values))
      log.mockRestore()
      expect(printed.length).toBeGreaterThan(0)
      expect(printed).toEqual([...block.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text))
    },
  )
})
