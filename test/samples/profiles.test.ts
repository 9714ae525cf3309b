import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../plugin/cache/store.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { profilesFromSamples } from '../../plugin/samples/profiles.ts'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'
import { build } from '../support/openvino-models.ts'
import { npy } from '../support/samples.ts'
import { missingTensorRtRtx } from '../support/tensorrt-library.ts'

const folder = tempFolder()
const file = join(folder, 'm.onnx')

beforeAll(() => {
  writeFileSync(
    file,
    onnxModel({
      inputs: { image: 'float32[n,3,h,w]', scale: 'float32[1]' },
      outputs: { y: 'float32[n,3,h,w]' },
      nodes: [{ op: 'Mul', inputs: ['image', 'scale'], outputs: ['y'] }],
    }),
  )
  const sizes = [
    [32, 64],
    [32, 320],
    [32, 320],
    [48, 96],
  ] as const
  mkdirSync(join(folder, 's'))
  for (const [index, [height, width]] of sizes.entries()) {
    writeFileSync(
      join(folder, 's', `${index}.image.npy`),
      npy([1, 3, height, width], new Float32Array(3 * height * width)),
    )
    writeFileSync(join(folder, 's', `${index}.scale.npy`), npy([1], [1]))
  }
})

async function profiles(options: Options) {
  const resolved = resolveOptions({ ...options, profiles: 'auto', cache: { dir: 'cache' } }, folder)
  return profilesFromSamples({
    name: 'm',
    model: await readModel(file),
    options: compileOptions(resolved, { file, query: {} }),
    root: folder,
    store: openStore({ ...resolved.cache, warn: () => {} }),
  })
}

describe("profiles: 'auto'", () => {
  test.each<[string, Options]>([
    ['verify.samples', { verify: { samples: 's/*.npy' } }],
    ['calibration', { calibration: 's/*.npy' }],
  ])('covers the samples of %s, and is tuned for the dims of most', async (_, options) => {
    expect(await profiles(options)).toEqual([
      { min: { image: [1, 3, 32, 64] }, opt: { image: [1, 3, 32, 320] }, max: { image: [1, 3, 48, 320] } },
    ])
  })

  test('leaves inputs of fixed dims out', async () => {
    expect(await profiles({ calibration: 's/*.npy', shapes: { image: [1, 3, 32, 64] } })).toEqual([])
  })

  test('without samples is an error that names the inputs and what to give', async () => {
    await expect(profiles({})).rejects.toMatchObject({
      code: 'SHAPE_INVALID',
      message: expect.stringMatching(/'auto'.*'image'.*received none.*verify\.samples/s),
    })
  })

  test.skipIf(missingTensorRtRtx())('makes an engine of TensorRT-RTX where none could be made without', async () => {
    const options: Options = { backends: ['tensorrt-rtx'], verify: { samples: join(folder, 's/*.npy') } }
    await expect(build(folder, file, options)).rejects.toMatchObject({ code: 'SHAPE_INVALID' })
    const { compiled } = await build(folder, file, { ...options, profiles: 'auto' })
    expect(compiled.variants[0]?.artifact.size).toBeGreaterThan(1000)
    const listed = { min: { image: [1, 3, 32, 64] }, opt: { image: [1, 3, 32, 320] }, max: { image: [1, 3, 48, 320] } }
    const same = await build(folder, file, { ...options, profiles: [listed] })
    expect(same.lines.join()).toMatch(/hit/)
  })
})
