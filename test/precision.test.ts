import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { roundToHalf, type HalfDType } from '../plugin/precision/half.ts'
import { compile, type Compiled, type Options } from 'unplugin-onnx'
import { tempFolder } from './helpers.ts'
import { onnxModel, type ModelSpec } from './models.ts'

const folder = tempFolder()
let count = 0

/** Compiles a model for the CPU, and gives the lines that were logged with it. */
async function build(spec: ModelSpec, options: Options): Promise<Compiled & { readonly lines: readonly string[] }> {
  const file = join(folder, `model${++count}.onnx`)
  writeFileSync(file, onnxModel(spec))
  const lines: string[] = []
  const compiled = await compile(file, { backends: ['onnxruntime'], cache: { dir: join(folder, 'cache') }, ...options }, { log: (line) => lines.push(line) })
  return { ...compiled, lines }
}

async function run({ variants }: Compiled, x: Float32Array, dims: readonly number[]): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(readFileSync(variants[0]!.artifact.file), { logSeverityLevel: 3 })
  const { y } = await session.run({ x: new ort.Tensor('float32', x, dims) })
  return y!.data as Float32Array
}

/** Repeatable values between -1 and 1. */
function values(length: number, scale = 1): Float32Array {
  let state = 1
  return Float32Array.from({ length }, () => {
    state = (state * 48271) % 2147483647
    return (state / 1073741823.5 - 1) * scale
  })
}

function product(weight: Float32Array, opset = 17): ModelSpec {
  return {
    opset,
    inputs: { x: 'float32[1,64]' },
    outputs: { y: 'float32[1,64]' },
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: { dtype: 'float32', dims: [64, 64], data: [...weight] } },
  }
}

function unround(bits: Uint16Array, dtype: HalfDType): Float32Array {
  return Float32Array.from(bits, (bit) => {
    if (dtype === 'bfloat16') return new Float32Array(Uint32Array.of(bit << 16).buffer)[0]!
    const [sign, exponent, fraction] = [bit & 0x8000 ? -1 : 1, (bit >> 10) & 31, bit & 1023]
    if (exponent === 31) return fraction ? NaN : sign * Infinity
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024)
  })
}

describe('rounding to 16 bits', () => {
  test.each([
    ['float16', [1, -2, 0.1, 65504, 65519, 65520, 1e-8, 5.9604645e-8, 6.1e-5, 2049, 2051, Infinity, NaN, -0], [1, -2, 0.0999755859375, 65504, 65504, Infinity, 0, 2 ** -24, 6.097555160522461e-5, 2048, 2052, Infinity, NaN, -0]],
    ['bfloat16', [1, -2, 0.1, 65504, 257, 259, 3.4e38, Infinity, NaN, -0], [1, -2, 0.10009765625, 65536, 256, 260, Infinity, Infinity, NaN, -0]],
  ] as const)('to %s is to the nearest, ties to even', (dtype, given, expected) => {
    expect([...unround(roundToHalf[dtype](Float32Array.from(given)), dtype)]).toEqual([...expected])
  })
})

describe.each([['fp16', 'float16'], ['bf16', 'bfloat16']] as const)('%s on the CPU', (engine, dtype) => {
  test('stores half the bytes, and computes in fp32 with rounded weights', async () => {
    const weight = values(64 * 64)
    const [full, half] = [await build(product(weight), { engine: 'fp32' }), await build(product(weight), { engine })]
    expect(half.variants[0]!.artifact.size).toBeLessThan(0.6 * statSync(join(folder, `model${count}.onnx`)).size)
    const rounded = await build(product(unround(roundToHalf[dtype](weight), dtype)), { engine: 'fp32' })
    const x = values(64)
    expect(await run(half, x, [1, 64])).toEqual(await run({ ...rounded, variants: rounded.variants.slice(-1) }, x, [1, 64]))
    expect(full.variants[0]!.artifact.key.digest).not.toBe(half.variants[0]!.artifact.key.digest)
  })
})
