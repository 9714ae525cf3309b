import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { compile } from 'unplugin-onnx'
import { describe, expect, test } from 'vitest'
import type { BuildTarget } from '../../plugin/options/build-target.ts'
import type { Options } from '../../plugin/options/types.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

const root = tempFolder()
const file = join(root, 'net.onnx')
const wave = (length: number): number[] => Array.from({ length }, (_, index) => Math.sin(index / 7))

// Enough weights that a lower precision is a smaller file.
writeFileSync(
  file,
  onnxModel({
    inputs: { x: 'float32[n,64]' },
    outputs: { y: 'float32[n,64]' },
    nodes: [
      { op: 'MatMul', inputs: ['x', 'weights'], outputs: ['sums'] },
      { op: 'Relu', inputs: ['sums'], outputs: ['y'] },
    ],
    initializers: { weights: { dtype: 'float32', dims: [64, 64], data: wave(64 * 64) } },
  }),
)

async function compileFor(target: BuildTarget, options: Options = {}) {
  const lines: string[] = []
  const settings = { ...options, cache: { dir: join(root, 'cache') } }
  const { variants } = await compile(file, settings, { target, log: (line) => lines.push(line) })
  return { variants, lines }
}

describe('engines of pages', () => {
  test('in fp32 are an .ort for WebAssembly and the model itself for WebGPU, both compared', async () => {
    const { variants, lines } = await compileFor('browser with WebGPU')
    expect(variants.map(({ backend, extension, verified }) => ({ backend, extension, verified }))).toEqual([
      { backend: 'webgpu', extension: '.onnx', verified: true },
      { backend: 'wasm', extension: '.ort', verified: true },
    ])
    expect(lines.join('\n')).toMatch(/fp32 {2}webgpu {2}miss: new/)
    for (const { report } of variants) {
      const [output] = report?.verification?.outputs ?? []
      expect(output?.compared).toBeGreaterThan(0)
      expect(output?.maxAbs).toBeLessThan(1e-5)
    }
    const [webgpu, wasm] = variants
    expect(await outputOf(webgpu!.artifact.file)).toEqual(await outputOf(file))
    // FlatBuffers keep the identifier of their format there.
    expect(readFileSync(wasm!.artifact.file).subarray(4, 8).toString()).toBe('ORTM')
  })

  test('in fp16 store half of the weights, and compute in it on a GPU that can', async () => {
    const { variants } = await compileFor('browser with WebGPU', { engine: 'fp16' })
    const [full] = (await compileFor('browser')).variants
    expect(variants.map(({ backend, extension, requires }) => ({ backend, extension, requires }))).toEqual([
      { backend: 'webgpu', extension: '.onnx', requires: { version: expect.any(String), shaderF16: true } },
      { backend: 'wasm', extension: '.onnx', requires: { version: expect.any(String) } },
    ])
    for (const { artifact } of variants) expect(artifact.size).toBeLessThan(0.7 * full!.artifact.size)
  })

  test('in bf16 have none for WebGPU, and the build says so', async () => {
    const { variants, lines } = await compileFor('browser with WebGPU', { engine: 'bf16' })
    expect(variants.map(({ backend }) => backend)).toEqual(['wasm'])
    expect(lines.join('\n')).toMatch(/passed over .*engine=bf16 with webgpu: expected fp32, fp16/)
    await expect(compileFor('browser with WebGPU', { engine: 'bf16', backends: ['webgpu'] })).rejects.toMatchObject({
      code: 'PRECISION_UNSUPPORTED',
    })
  })
})

async function outputOf(model: string): Promise<readonly number[]> {
  const session = await ort.InferenceSession.create(model)
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from(wave(128)), [2, 64]) })
  await session.release()
  return [...((y?.data ?? []) as Float32Array)]
}
