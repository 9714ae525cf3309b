import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, writeModel } from 'unplugin-onnx'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Comparison, EngineView, GraphView } from '../../plugin/view/contract.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel, onnxModel } from '../support/models.ts'
import { type StartedView, startView } from '../support/view.ts'

const folder = tempFolder()
const model = join(folder, 'double.onnx')
let view: StartedView

beforeAll(async () => {
  writeFileSync(model, affineModel())
  const bench = ['bench', model, '--engine', 'fp32', '--backend', 'onnxruntime', '--duration', '0.05', '--warmup', '1']
  const { code, stderr } = await runCommand([...bench, '--root', folder], folder)
  if (code !== 0) throw new Error(stderr)
  for (const engine of ['fp32', 'fp16'] as const) {
    const compiled = await compile(model, { root: folder, engine, backends: ['onnxruntime'] })
    if (engine === 'fp16') await writeModel(compiled, join(folder, 'bundle'))
  }
  writeFileSync(join(folder, 'cycle.onnx'), onnxModel(cyclic))
  writeFileSync(join(folder, 'dots.onnx'), onnxModel(dotted))
  writeFileSync(join(folder, 'outside.onnx'), onnxModel(withExternalData))
  writeFileSync(join(folder, 'outside.bin'), Float32Array.of(1, -2, 0, 4))
  view = await startView([folder, '--root', folder])
})
afterAll(() => view?.end())

async function ask<T>(request: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
  const response = await fetch(`${view.url}api/${request}?${new URLSearchParams(parameters)}`)
  return (await response.json()) as T
}

const engineOf = async (isWanted: (engine: EngineView) => boolean) =>
  (await ask<EngineView[]>('engines')).find(isWanted)

test('an engine of the cache has its requirements, its own precision and the last bench', async () => {
  const fp32 = await engineOf(({ bench }) => bench !== null)
  expect(fp32).toMatchObject({ origin: 'cache', precision: 'fp32', backend: 'onnxruntime', problems: [] })
  expect(fp32?.requires.map(({ name }) => name)).toEqual(expect.arrayContaining(['version', 'arch', 'layout']))
  expect(fp32?.bench?.median).toBeGreaterThan(0)
  expect(fp32?.bench?.p99).toBeGreaterThanOrEqual(fp32?.bench?.median ?? Infinity)
})

test('an engine that was compared has figures of each output', async () => {
  const fp16 = await engineOf(({ origin, precision }) => origin === 'cache' && precision === 'fp16')
  expect(fp16?.verification).toMatchObject([{ output: 'y', isWithinLimits: true }])
  expect(fp16?.verification[0]?.relativeError).toBeLessThan(0.01)
})

test('the engines of a bundle are listed, with what is wrong with their files', async () => {
  const bundled = await engineOf(({ origin }) => origin === 'bundle')
  expect(bundled).toMatchObject({ modelName: 'double', precision: 'fp16', why: 'this machine takes it', problems: [] })
  rmSync(bundled?.file ?? '')
  const broken = await engineOf(({ origin }) => origin === 'bundle')
  expect(broken?.problems).toEqual(['the file was not found'])
})

test.each(['nodes', 'profile', 'run'])('%s of an engine in a bundle says to open its model', async (request) => {
  const bundled = await engineOf(({ origin }) => origin === 'bundle')
  const parameters = new URLSearchParams({ engine: bundled?.id ?? '', target: bundled?.id ?? '' })
  const init = request === 'nodes' ? {} : { method: 'POST', body: JSON.stringify({ inputs: [], dims: {} }) }
  const response = await fetch(`${view.url}api/${request}?${parameters}`, init)
  expect(await response.json()).toMatchObject({
    error: expect.stringMatching(/^double: expected an engine whose model this page shows, .* Open the model itself/),
    hint: expect.stringContaining('Open the model itself'),
  })
})

test('two engines are compared by size, error and latency', async () => {
  const a = await engineOf(({ bench }) => bench !== null)
  const b = await engineOf(({ origin, precision }) => origin === 'cache' && precision === 'fp16')
  const { groups } = await ask<Comparison>('compare', { a: a?.id ?? '', b: b?.id ?? '' })
  const changed = (title: string) => groups.find((group) => group.title === title)?.changes.map(({ name }) => name)
  expect(changed('Figures')).toContain('precision')
  expect(changed('Beside the fp32 model')).toContain('y: cosine')
  expect(changed('Latency of the last bench')).toContain('median')
})

test('a graph with a cycle is shown as one', async () => {
  const graph = await ask<GraphView>('graph', { model: 'cycle.onnx' })
  expect(graph).toMatchObject({ hasCycle: true, nodes: [{ op: 'Add' }, { op: 'Relu' }] })
})

test('dots part the scopes of names without slashes', async () => {
  const { nodes } = await ask<GraphView>('graph', { model: 'dots.onnx' })
  expect(nodes.map(({ scope }) => scope)).toEqual([
    ['model', 'layers', '0'],
    ['model', 'layer.1'],
  ])
})

test('weights in another file have statistics', async () => {
  const statistics = await ask('statistics', { model: 'outside.onnx', initializer: 'w' })
  expect(statistics).toMatchObject({ count: 4, min: -2, max: 4, zeros: 1 })
})

const cyclic = {
  inputs: { x: 'float32[1]' },
  outputs: { y: 'float32[1]' },
  nodes: [
    { op: 'Add', inputs: ['x', 'y'], outputs: ['a'] },
    { op: 'Relu', inputs: ['a'], outputs: ['y'] },
  ],
}

const dotted = {
  inputs: { x: 'float32[1]' },
  outputs: { y: 'float32[1]' },
  nodes: [
    { op: 'Relu', name: 'model.layers.0.act', inputs: ['x'], outputs: ['a'] },
    { op: 'Relu', name: '/model/layer.1/act', inputs: ['a'], outputs: ['y'] },
  ],
}

const withExternalData = {
  inputs: { x: 'float32[4]' },
  outputs: { y: 'float32[4]' },
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: { w: { dtype: 'float32', dims: [4], data: [], external: { location: 'outside.bin' } } },
} as const
