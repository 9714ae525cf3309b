import type { Model } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { type DType, dtypes, elementCount, isBindingDType, type StoredDType } from '../../runtime/dtype.ts'
import type { ErrorCode } from '../../runtime/errors.ts'
import type { ModelSpec, NodeSpec } from './models.ts'

/** What the matrix of bindings needs to know of a backend. */
export interface BindingsBackend {
  /** Compiles a model and opens it when it is first used. */
  open(spec: ModelSpec): Promise<Model>
  /** The dtypes that its bindings may have, be it for some of their values only. */
  readonly dtypes: readonly DType[]
  /** The error of a model with a binding of any other dtype, from its build or its first use. */
  readonly refused: Readonly<Partial<Record<DType, ErrorCode>>>
  /** The error of a model with an input of which a dim is always 0; undefined where it runs. */
  readonly refusedZero: ErrorCode | undefined
}

const ranks = [0, 1, 2, 3, 4, 5, 6, 7, 8]
const allDTypes = Object.keys(dtypes).filter((name): name is DType => isBindingDType(name as StoredDType))

/** Every dtype in every rank, through inputs and outputs: static and dynamic dims, some of them zero. */
export function testBindings({ open, dtypes: kinds, refused, refusedZero }: BindingsBackend): void {
  describe('bindings', () => {
    test('each dtype of ONNX that JavaScript can hold is carried or refused', () => {
      expect([...kinds, ...Object.keys(refused)].sort()).toEqual([...allDTypes].sort())
    })

    const zero = ['a dim that is always 0', (rank: number) => dimsOf(rank, 0), [0]] as const
    test.each([
      ['static dims', (rank: number) => dimsOf(rank, 2), [2]],
      ...(refusedZero ? [] : [zero]),
      ['named dims', (rank: number) => dimsOf(rank, 2).map((_, axis) => `r${rank}_${axis}`), [2, 0, 3, 1]],
      ['unknown dims', (rank: number) => dimsOf(rank, 2).map(() => '?'), [2, 0, 3, 1]],
    ] as const)('ranks 0 to 8 of every dtype go in and out with %s', async (_, declared, sizes) => {
      const bindings = kinds.flatMap((dtype) => ranks.map((rank) => ({ dtype, rank, name: `${dtype}_${rank}` })))
      const typeOf = ({ dtype, rank }: { dtype: DType; rank: number }) => `${dtype}[${declared(rank).join()}]`
      await using model = await open({
        inputs: Object.fromEntries(bindings.map((binding) => [`${binding.name}_in`, typeOf(binding)])),
        outputs: Object.fromEntries(bindings.map((binding) => [binding.name, typeOf(binding)])),
        nodes: bindings.map(({ name }) => identity(`${name}_in`, name)),
      })
      for (const [call, size] of [...sizes, ...sizes].entries()) {
        const tensors = bindings.map(({ dtype, rank, name }) => {
          const dims = dimsOf(rank, size)
          return [name, { dtype, dims, data: smallValues(dtype, elementCount(dims)) }] as const
        })
        const inputs = Object.fromEntries(tensors.map(([name, tensor]) => [`${name}_in`, tensor]))
        // Memory that a backend reads in place, and memory that it copies.
        const outputs = await model.infer(inputs as never, { transfer: call % 2 === 1 })
        const expected = tensors.map(([name, { dtype, dims }]) => {
          return [name, { dtype, dims, data: smallValues(dtype, elementCount(dims)) }]
        })
        expect(outputs).toEqual(Object.fromEntries(expected))
      }
    })

    test('a scalar is computed from other scalars and from tensors', async () => {
      await using model = await open({
        inputs: { x: 'float32[n,3]', scale: 'float32[]', flag: 'bool[]' },
        outputs: { sum: 'float32[]', scaled: 'float32[n,3]', not: 'bool[]', square: 'float32[]' },
        nodes: [
          { op: 'ReduceSum', inputs: ['x'], outputs: ['sum'], attributes: { keepdims: 0 } },
          { op: 'Mul', inputs: ['x', 'scale'], outputs: ['scaled'] },
          { op: 'Not', inputs: ['flag'], outputs: ['not'] },
          { op: 'Mul', inputs: ['scale', 'scale'], outputs: ['square'] },
        ],
      })
      for (const value of [3, 0.5]) {
        const x = { data: Float32Array.of(1, 2, 4), dims: [1, 3] }
        const scale = { data: Float32Array.of(value), dims: [] }
        expect(await model.infer({ x, scale, flag: { data: Uint8Array.of(value === 3 ? 1 : 0), dims: [] } })).toEqual({
          sum: { dtype: 'float32', dims: [], data: Float32Array.of(7) },
          scaled: { dtype: 'float32', dims: [1, 3], data: Float32Array.of(value, 2 * value, 4 * value) },
          not: { dtype: 'bool', dims: [], data: Uint8Array.of(value === 3 ? 0 : 1) },
          square: { dtype: 'float32', dims: [], data: Float32Array.of(value * value) },
        })
      }
    })

    test.runIf(refusedZero)('an input with a dim that is always 0 is refused', async () => {
      const spec = { inputs: { x: 'float32[2,0]' }, outputs: { y: 'float32[2,0]' }, nodes: [identity('x', 'y')] }
      await expect(open(spec).then((model) => model.load())).rejects.toMatchObject({ code: refusedZero })
    })

    const refusals = Object.entries(refused) as [DType, ErrorCode][]
    test.skipIf(refusals.length === 0).each(refusals)('%s is refused with %s', async (dtype, code) => {
      const make = async () => {
        await using model = await open({
          inputs: { x: `${dtype}[n]` },
          outputs: { y: `${dtype}[n]` },
          nodes: [identity('x', 'y')],
        })
        return await model.infer({ x: { data: smallValues(dtype, 2), dims: [2] } as never })
      }
      await expect(make()).rejects.toMatchObject({ name: 'OnnxEngineError', code })
    })
  })
}

function identity(input: string, output: string): NodeSpec {
  return { op: 'Identity', inputs: [input], outputs: [output] }
}

/** Dims of a rank, all 1 but for the last. */
function dimsOf(rank: number, last: number): number[] {
  return Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? last : 1))
}

/** Values that every dtype holds, and that backends carry which compute integers in 32 bits. */
function smallValues(dtype: DType, length: number) {
  const { array } = dtypes[dtype]
  const values = Array.from({ length }, (_, index) => (index + 1) % (dtype === 'bool' ? 2 : 100))
  if (array === 'Array') return values.map(String)
  if (array === 'BigInt64Array' || array === 'BigUint64Array') return globalThis[array].from(values.map(BigInt))
  return globalThis[array].from(values)
}
