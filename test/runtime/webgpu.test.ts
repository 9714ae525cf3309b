import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ort from 'onnxruntime-node'
import { compile, writeModel } from 'unplugin-onnx'
import { beforeAll, describe, expect, test } from 'vitest'
import { install } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

// The software driver of Vulkan that comes with Debian's Chromium.
const driver = '/usr/lib/chromium'
const missing = existsSync(join(driver, 'vk_swiftshader_icd.json'))
  ? undefined
  : `there is no software driver of Vulkan in ${driver} (apt-get install chromium)`
if (missing) console.warn(`a run of WebGPU in Node.js is skipped: ${missing}`)

// Shaders of a software driver take minutes to compile for a real model.
const net = onnxModel({
  inputs: { x: 'float32[1,3,16,16]' },
  outputs: { y: 'float32[1,8,14,14]' },
  nodes: [
    { op: 'Conv', inputs: ['x', 'weights'], outputs: ['features'] },
    { op: 'Relu', inputs: ['features'], outputs: ['y'] },
  ],
  initializers: { weights: { dtype: 'float32', dims: [8, 3, 3, 3], data: wave(8 * 27) } },
})
const root = tempFolder()
let manifest: string

const script = `
import { readFileSync } from 'node:fs'
import { loadModel } from 'unplugin-onnx/runtime'
const model = await loadModel(process.argv[2])
let ticks = 0
const timer = setInterval(() => ticks++, 5)
await model.load()
const image = Float32Array.from(JSON.parse(readFileSync(process.argv[3], 'utf8')))
const outputs = await model.infer({ x: image })
clearInterval(timer)
const values = Object.values(outputs).flatMap(({ data }) => [...data])
console.log(JSON.stringify({ values, ticks, variant: model.variant }))
await model.dispose()
`

interface Printed {
  readonly values: readonly number[]
  readonly ticks: number
  readonly variant: { readonly backend: string; readonly skipped: readonly { readonly reason: string }[] }
}

async function runWith(env: NodeJS.ProcessEnv): Promise<Printed> {
  const args = [join(root, 'run.mjs'), manifest, join(root, 'image.json')]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, UNPLUGIN_ONNX_SOFTWARE_GPU: undefined, ...env },
  })
  return JSON.parse(stdout) as Printed
}

function wave(length: number): number[] {
  return Array.from({ length }, (_, index) => Math.sin(index / 7))
}

describe('WebGPU in Node.js', () => {
  beforeAll(async () => {
    install(root, ['unplugin-onnx'])
    writeFileSync(join(root, 'run.mjs'), script)
    writeFileSync(join(root, 'image.json'), JSON.stringify(wave(3 * 256)))
    const options = {
      backends: ['webgpu', 'onnxruntime'],
      cache: { dir: join(root, 'cache') },
    } as const
    writeFileSync(join(root, 'net.onnx'), net)
    manifest = await writeModel(await compile(join(root, 'net.onnx'), options), join(root, 'out'))
  })

  test.skipIf(process.platform !== 'linux')('a machine without a GPU runs the next engine, and says why', async () => {
    if (existsSync('/dev/dri') || existsSync('/dev/nvidiactl')) return
    const { variant } = await runWith({})
    expect(variant).toMatchObject({ backend: 'onnxruntime', skipped: [{ reason: expect.stringMatching(/no GPU/) }] })
  })

  test('a driver that cannot be used is passed over, and the process lives', async () => {
    const { variant } = await runWith({ UNPLUGIN_ONNX_SOFTWARE_GPU: '1', VK_DRIVER_FILES: '/nowhere' })
    expect(variant).toMatchObject({ backend: 'onnxruntime', skipped: [{ backend: 'webgpu' }] })
  })

  test.skipIf(missing)('the software adapter gives the numbers of the CPU, off the event loop', async () => {
    const session = await ort.InferenceSession.create(net)
    const x = new ort.Tensor('float32', Float32Array.from(wave(3 * 256)), [1, 3, 16, 16])
    const { y } = await session.run({ x })
    const expected = Array.from(y?.data as Float32Array)
    const { variant, values, ticks } = await runWith({
      UNPLUGIN_ONNX_SOFTWARE_GPU: '1',
      VK_DRIVER_FILES: join(driver, 'vk_swiftshader_icd.json'),
      LD_LIBRARY_PATH: driver,
    })
    expect(variant).toMatchObject({ backend: 'webgpu', skipped: [] })
    expect(values).toHaveLength(expected.length)
    for (const [index, value] of expected.entries()) expect(values[index]).toBeCloseTo(value, 4)
    expect(ticks).toBeGreaterThan(5)
  })
})
