import { describe, expect, test } from 'vitest'
import type { Bindings } from '../../runtime/manifest.ts'
import { mockModel } from '../../runtime/testing.ts'
import type { Model } from '../../runtime/types.ts'

type Pose = Model<{ image: 'float32[n,3]' }, { heatmap: 'float32[n,2]'; label: 'string[1]' }>

const bindings: Bindings = {
  inputs: [{ name: 'image', dtype: 'float32', dims: ['n', 3] }],
  outputs: [
    { name: 'heatmap', dtype: 'float32', dims: ['n', 2] },
    { name: 'label', dtype: 'string', dims: [1] },
  ],
}
const heatmap = { data: new Float32Array([1, 2]), dims: [1, 2] } as const
const image = { data: new Float32Array(3), dims: [1, 3] } as const

describe('mockModel()', () => {
  test('infer() gives the outputs of the test, as tensors of their own', async () => {
    const pose = mockModel<Pose>({ heatmap, label: ['cat'] }, { bindings, name: 'pose' })
    const outputs = await pose.infer({ image })
    expect(outputs).toEqual({
      heatmap: { dtype: 'float32', dims: [1, 2], data: new Float32Array([1, 2]) },
      label: { dtype: 'string', dims: [1], data: ['cat'] },
    })
    outputs.heatmap.data[0] = 5
    expect((await pose.infer({ image })).heatmap.data[0]).toBe(1)
    expect(pose).toMatchObject({ name: 'pose', bindings, variant: { backend: 'onnxruntime' } })
  })

  test('a function makes outputs of the inputs, which are tensors', async () => {
    const pose = mockModel<Pose>(({ image }) => ({
      heatmap: { data: new Float32Array([image.data[0]! * 2, image.dims[0]]), dims: [1, 2] },
      label: [image.dtype],
    }))
    const { heatmap, label } = await pose.infer({ image: { data: Float32Array.of(4, 0, 0), dims: [1, 3] } })
    expect([...heatmap.data, ...label.data]).toEqual([8, 1, 'float32'])
  })

  test('with bindings, inputs are checked as by the model', async () => {
    const pose = mockModel<Pose>({ heatmap, label: ['cat'] }, { bindings, name: 'pose' })
    const wrong = { image: { data: new Float32Array(4), dims: [1, 4] } } as never
    await expect(pose.infer(wrong)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(pose.infer({ img: image } as never)).rejects.toThrow(/model "pose", input "img"/)
  })

  test.each([
    ['is missing', { label: ['cat'] }, /output "heatmap": received nothing/],
    ['has another name', { heatmap, label: ['cat'], heatmaps: heatmap }, /output "heatmaps".*Did you mean "heatmap"/],
    [
      'has another dtype',
      { heatmap: { ...heatmap, data: new Uint8Array(2) }, label: ['cat'] },
      /output "heatmap".*a Float32Array/,
    ],
    [
      'has too few elements',
      { heatmap: { ...heatmap, data: new Float32Array(1) }, label: ['cat'] },
      /expected 2 elements/,
    ],
  ])('with bindings, an output that %s is INFERENCE_FAILED', async (_, outputs, message) => {
    const pose = mockModel<Pose>(outputs as never, { bindings })
    const failure = pose.infer({ image })
    await expect(failure).rejects.toMatchObject({ code: 'INFERENCE_FAILED' })
    await expect(failure).rejects.toThrow(message)
  })

  test('what the function throws is INFERENCE_FAILED with its cause', async () => {
    const cause = new TypeError('no luck')
    const pose = mockModel<Pose>(() => {
      throw cause
    })
    await expect(pose.infer({ image })).rejects.toMatchObject({ code: 'INFERENCE_FAILED', cause })
  })

  test('signals and dispose() work as for a model', async () => {
    const pose = mockModel<Pose>(() => new Promise(() => {}))
    const aborted = AbortSignal.abort()
    await expect(pose.infer({ image }, { signal: aborted })).rejects.toMatchObject({ code: 'ABORTED' })
    const controller = new AbortController()
    const waiting = pose.infer({ image }, { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    const other = mockModel<Pose>({ heatmap, label: ['cat'] })
    await expect(other.load()).resolves.toBe(other)
    await other.dispose()
    await expect(other.infer({ image })).rejects.toMatchObject({ code: 'DISPOSED' })
  })
})
