import { beforeAll, expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { compile, compilers, linkPackage, strictest, writeProject, type Compiler } from '../support/typed-project.ts'

const root = tempFolder()

beforeAll(() => {
  linkPackage(root)
  writeProject(root, {
    'package.json': { type: 'module' },
    'tsconfig.json': { compilerOptions: { ...strictest, module: 'nodenext' }, include: ['*.ts'] },
    'good.ts': `
import type { Model } from 'unplugin-onnx/runtime'
import { mockModel } from 'unplugin-onnx/testing'
type Pose = Model<{ image: 'float32[n,3]' }, { heatmap: 'float32[n,2]'; flag: 'bool[1]' }>
const heatmap = { data: new Float32Array(2), dims: [1, 2] } as const
export const pose = mockModel<Pose>({ heatmap, flag: new Uint8Array(1) })
export const made = mockModel<Pose>(async ({ image }) => {
  return { heatmap: { data: image.data, dims: [image.dims[0], 2] }, flag: new Uint8Array(1) }
})
export const two: 2 = (await pose.infer({ image: { data: new Float32Array(3), dims: [1, 3] } })).heatmap.dims[1]
export const plain = mockModel({ anything: heatmap })
`,
    'bad.ts': `
import { mockModel } from 'unplugin-onnx/testing'
import type { pose } from './good.js'
const heatmap = { data: new Float32Array(2), dims: [1, 2] } as const, flag = new Uint8Array(1)
mockModel<typeof pose>({ heatmaps: heatmap, heatmap, flag })
mockModel<typeof pose>({ heatmap })
mockModel<typeof pose>({ heatmap: { data: new Float64Array(2), dims: [1, 2] }, flag })
mockModel<typeof pose>({ heatmap: { data: new Float32Array(2), dims: [1, 3] }, flag })
mockModel<typeof pose>({ heatmap, flag: [true] })
mockModel<typeof pose>(({ img }) => ({ heatmap, flag }))
`,
  })
})

test.each(Object.keys(compilers) as Compiler[])(
  'TypeScript %s refuses outputs of a mock that the model does not have',
  async (compiler) => {
    const messages = await compile(root, compiler, 'tsconfig.json')
    const places = messages.map((message) => /^(\w+\.ts)\((\d+)/.exec(message)?.slice(1).join(':'))
    expect(places).toEqual([5, 6, 7, 8, 9, 10].map((line) => `bad.ts:${line}`))
  },
)
