import { join, relative } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { findImports, type FoundImports } from '../../plugin/imports/find.ts'
import { readModel } from '../../plugin/onnx/model.ts'
import { fixBindings } from '../../plugin/options/engine-bindings.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { declarations } from '../../plugin/types/declarations.ts'
import { writeTypes } from '../../plugin/types/write.ts'
import { tempFolder } from '../support/helpers.ts'
import {
  compile,
  compilers,
  linkPackage,
  packageRoot,
  resolutions,
  strictest,
  writeProject,
  type Compiler,
} from '../support/typed-project.ts'

const versions = Object.keys(compilers) as Compiler[]
const poseA = { inputs: { image: 'float32[batch,3,448,448]' }, outputs: { keypoints: 'float32[batch,17,3]' } }
const poseB = {
  inputs: { ids: 'int64[4]', flag: 'bool[]' },
  outputs: { tokens: 'string[?]', mask: 'bool[4]', half: 'float16[4]' },
}
const detector = { inputs: { x: 'float32[n,3,h,w]' }, outputs: { map: 'float32[n,1,h,w]' } }

const goodCallers = {
  'src/a/use.ts': `
import pose from './pose.onnx?engine=fp16'
const { keypoints } = await pose.infer({ image: { data: new Float32Array(602112), dims: [1, 3, 448, 448] } })
export const data: Float32Array<ArrayBuffer> = keypoints.data
export const points: 17 = keypoints.dims[1]
`,
  'src/b/use.ts': `
import pose from './pose.onnx?engine=fp16'
const { tokens, mask, half } = await pose.infer({ ids: new BigInt64Array(4), flag: new Uint8Array(1) })
export const words: readonly string[] = tokens.data
export const bytes: Uint8Array<ArrayBuffer> = mask.data
export const bits: Uint16Array<ArrayBuffer> = half.data
`,
  'src/b/deep/up.ts': `
import up from '../pose.onnx?engine=fp16'
import far from '../../a/pose.onnx?engine=fp16'
export const ids = up.infer({
  ids: { dtype: 'int64', data: new BigInt64Array(4), dims: [4] },
  flag: { data: new Uint8Array(1), dims: [] },
})
export const image = far.infer({ image: { data: new Float32Array(new SharedArrayBuffer(4)), dims: [1, 3, 448, 448] } })
`,
  'src/main.ts': `
import { tensor, type Model } from 'unplugin-onnx/runtime'
import a from './a/pose.onnx?engine=fp16'
import b from './b/pose.onnx?engine=fp16'
import plain from './a/pose.onnx'
import fixed from './a/pose.onnx?shapes=image:1x3x448x448'
import alias from '@/a/pose.onnx?engine=fp16'
import subpath from '#models/pose.onnx?engine=fp16'
import packaged from 'detectors/assets/det.onnx?engine=fp32'
import outside from '../../shared/det.onnx?engine=fp32'
export { default as again } from './b/pose.onnx?engine=int8'

const image = tensor('float32', new Float32Array(602112), [1, 3, 448, 448])
const { keypoints } = await a.infer({ image }, { transfer: true })
await plain.infer({ image })
await fixed.infer({ image: new Float32Array(602112) })
export const one: 1 = (await fixed.infer({ image })).keypoints.dims[0]
await alias.infer({ image })
await subpath.infer({ ids: new BigInt64Array(4), flag: new Uint8Array(1) })
const { map } = await packaged.infer({ x: { data: new Float32Array(3), dims: [1, 3, 1, 1] as const } })
const same = { data: map.data, dims: [1, 3, 1, 1] } as const
await outside.infer({ x: map.dims[1] === 1 ? same : { data: new Float32Array(3), dims: [1, 3, 1, 1] } })
await outside.load()

const models: Model[] = [a, b, plain, fixed, packaged]
for (const model of models) await model.infer({ anything: keypoints })
export const lazy = (await import('./b/pose.onnx?engine=fp16')).default
export type Lazy = typeof import('./b/pose.onnx?engine=fp16').default
await using disposed = lazy
type Known<T> = 0 extends 1 & T ? 'any' : 'known'
type Imported = typeof a | typeof b | typeof plain | typeof fixed | typeof alias | typeof subpath
export const known: Known<Imported | typeof packaged | typeof outside> = 'known'
export const names: readonly string[] = disposed.bindings.inputs.map(({ name }) => name)
await b.dispose()
`,
  'src/script.js': `
import pose from './a/pose.onnx?engine=fp16'
const { keypoints } = await pose.infer({ image: { data: new Float32Array(602112), dims: [1, 3, 448, 448] } })
/** @type {17} */
export const points = keypoints.dims[1]
`,
}

const badCallers = {
  'src/bad.ts': `
import { tensor } from 'unplugin-onnx/runtime'
import a from './a/pose.onnx?engine=fp16'
import b from './b/pose.onnx?engine=fp16'
const data = new Float32Array(602112), flag = new Uint8Array(1), ids = new BigInt64Array(4)
await a.infer({ img: { data, dims: [1, 3, 448, 448] } })
await a.infer({ image: { data: new Float64Array(602112), dims: [1, 3, 448, 448] } })
await a.infer({ image: tensor('uint8', new Uint8Array(602112), [1, 3, 448, 448]) })
await a.infer({ image: tensor('float32', data, [3, 448, 448]) })
await a.infer({ image: tensor('float32', data, [1, 3, 448, 224]) })
await a.infer({ image: { data, dims: [1, 3, 448, 224] } })
await a.infer({ image: data })
await b.infer({ ids })
await b.infer({ ids: new Int32Array(4), flag })
await b.infer({ ids, flag: [true] })
await b.infer({ ids, flag, extra: ids })
const out = await a.infer({ image: { data, dims: [1, 3, 448, 448] } })
out.keypoint
tensor('float32', ids, [4])
tensor('float23', data, [4])
await b.infer({ ids, flag }, { sigal: undefined })
`,
  'src/bad.js': `
import pose from './a/pose.onnx?engine=fp16'
await pose.infer({ img: { data: new Float32Array(602112), dims: [1, 3, 448, 448] } })
`,
}

const hostileName = 'a"b\'\n*/ `${x}` \u2028\u202e\\ __proto__'
const hostile = {
  "src/odd/it's `odd`.onnx": {
    inputs: { [hostileName]: 'float32[*/ "x",2]', ['__proto__']: 'int32[3]' },
    outputs: { constructor: 'float32[2]' },
  },
  'src/odd/use.ts': `
import odd from "./it's \`odd\`.onnx?engine"
const { constructor } = await odd.infer({
  ${JSON.stringify(hostileName)}: { data: new Float32Array(2), dims: [1, 2] },
  ['__proto__']: new Int32Array(3),
})
export const two: 2 = constructor.dims[0]
`,
}

const library = {
  'src/library.ts': `
import pose from './a/pose.onnx?engine=fp16'
export const model = pose
export async function keypoints(data: Float32Array) {
  return (await pose.infer({ image: { data, dims: [1, 3, 448, 448] } })).keypoints
}
`,
  'tsconfig.library.json': {
    extends: './tsconfig.json',
    files: ['src/library.ts'],
    include: [],
    compilerOptions: {
      ...resolutions.nodenext,
      noEmit: false,
      declaration: true,
      rootDir: 'src',
      outDir: '../consumer/library',
    },
  },
  '../consumer/use.ts': `
import { keypoints, model } from './library/library.js'
export const points: 17 = (await keypoints(new Float32Array(1))).dims[1]
await model.infer({ image: { data: new Float32Array(1), dims: [1, 3, 448, 448] } })
`,
  '../consumer/package.json': { type: 'module' },
  '../consumer/tsconfig.json': {
    compilerOptions: {
      ...resolutions.nodenext,
      strict: true,
      noEmit: true,
      target: 'es2022',
      lib: ['es2022'],
      types: [],
      skipLibCheck: false,
    },
    files: ['use.ts'],
  },
}

const signals = {
  'src/signal.ts': `
import pose from './a/pose.onnx?engine=fp16'
const image = { data: new Float32Array(602112), dims: [1, 3, 448, 448] } as const
await pose.infer({ image }, { signal: AbortSignal.timeout(1000) })
await pose.infer({ image }, { signal: { aborted: true } })
`,
  'tsconfig.dom.json': {
    extends: './tsconfig.json',
    files: ['src/signal.ts'],
    include: [],
    compilerOptions: { ...resolutions.bundler, lib: ['es2022', 'dom'] },
  },
  'tsconfig.node.json': {
    extends: './tsconfig.json',
    files: ['src/signal.ts'],
    include: [],
    compilerOptions: {
      ...resolutions.nodenext,
      types: ['node'],
      typeRoots: [join(packageRoot, 'node_modules/@types')],
    },
  },
}

const folder = tempFolder()
const root = join(folder, 'app')
// Six compilations in turn, on a machine that does other things too.
vi.setConfig({ testTimeout: 240_000 })
const excluded = ['src/signal.ts', 'src/library.ts']

beforeAll(async () => {
  writeProject(root, {
    'package.json': { type: 'module', imports: { '#models/*': './src/b/*' } },
    'src/a/pose.onnx': poseA,
    'src/b/pose.onnx': poseB,
    'node_modules/detectors/package.json': { name: 'detectors', exports: './index.js' },
    'node_modules/detectors/assets/det.onnx': detector,
    '../shared/det.onnx': detector,
    ...goodCallers,
    ...badCallers,
    ...hostile,
    ...library,
    ...signals,
    'tsconfig.windows.json': {
      extends: './tsconfig.json',
      include: ['src', '.windows/**/*'],
      exclude: excluded.concat('src/bad.*'),
      compilerOptions: { ...resolutions.bundler, rootDirs: ['.', './.windows/types'] },
    },
    ...Object.fromEntries(
      Object.entries(resolutions).map(([name, resolution]) => [
        `tsconfig.${name}.json`,
        {
          extends: './tsconfig.json',
          compilerOptions: resolution,
        },
      ]),
    ),
    'tsconfig.json': {
      compilerOptions: { ...strictest, allowJs: true, checkJs: true, paths: { '@/*': ['./src/*'] } },
      include: ['src', '.unplugin-onnx/**/*'],
      exclude: excluded,
    },
  })
  linkPackage(folder)
  found = await findImports({ options: resolveOptions({}, root) })
  await writeTypes({ root, imports: found.imports })
})

let found: FoundImports

describe('types of imported models', () => {
  test('every way to import a model is found and typed, by every compiler and resolution', async () => {
    expect(found.problems).toEqual([])
    const results = await inTurn(
      versions.flatMap((version) =>
        Object.keys(resolutions).map(
          (resolution) => async () =>
            [`${version} ${resolution}`, await compile(root, version, `tsconfig.${resolution}.json`)] as const,
        ),
      ),
    )
    expect(
      results.map(([name, messages]) => [name, ...messages.filter((message) => !message.startsWith('src/bad'))]),
    ).toEqual(results.map(([name]) => [name]))

    const messages = new Map<string, readonly string[]>(results)
    await expect(messages.get('5.9 bundler')?.join('\n')).toMatchFileSnapshot('./errors-typescript-5.9.txt')
    for (const name of ['5.9 nodenext', '6.0 bundler', '6.0 nodenext'])
      expect([name, messages.get(name)]).toEqual([name, messages.get('5.9 bundler')])
    expect(messages.get('7.0 nodenext')).toEqual(messages.get('7.0 bundler'))
    await expect(
      messages
        .get('7.0 bundler')
        ?.filter((message) => !messages.get('5.9 bundler')?.includes(message))
        .join('\n'),
    ).toMatchFileSnapshot('./errors-typescript-7.0.txt')
  })

  test('without question marks in file names, only one text for two models stays untyped, with a note', async () => {
    const typed = await Promise.all(
      found.imports.map(async ({ importer, specifier, file, shapes = {} }) => ({
        importer: fromRoot(importer),
        specifier,
        file: fromRoot(file),
        bindings: fixBindings((await readModel(file)).bindings, shapes),
      })),
    )
    const { files } = declarations(typed, { windows: true })
    writeProject(root, Object.fromEntries([...files].map(([name, text]) => [`.windows/${name}`, text])))
    expect([...files.keys()]).toEqual(['ambient.d.ts', 'types/src/a/pose.d.onnx.ts'])

    const results = await inTurn(versions.map((version) => () => compile(root, version, 'tsconfig.windows.json')))
    for (const messages of results) expect(messages).toEqual(results[0])
    await expect(results[0]?.join('\n')).toMatchFileSnapshot('./errors-without-question-marks.txt')
  })

  test('a library passes the types to its users without the generated folder', async () => {
    const ends = ['5.9', '7.0'] as const
    const messages = await inTurn(
      ends.flatMap((version) =>
        ['tsconfig.library.json', '../consumer/tsconfig.json'].map((config) => async () => [
          version,
          ...(await compile(root, version, config)),
        ]),
      ),
    )
    expect(messages).toEqual(ends.flatMap((version) => [[version], [version]]))
  })

  test.each(['dom', 'node'])(
    'the signal is the AbortSignal of a project with the types of %s',
    async (surroundings) => {
      const messages = await compile(root, '7.0', `tsconfig.${surroundings}.json`)
      expect(messages).toHaveLength(1)
      expect(messages[0]).toMatch(
        /^src\/signal\.ts\(5,.*'{ aborted: true; }' is missing the following properties from type 'AbortSignal'/,
      )
    },
  )
})

function fromRoot(path: string): string {
  return relative(root, path).replaceAll('\\', '/')
}

async function inTurn<T>(jobs: readonly (() => Promise<T>)[]): Promise<readonly T[]> {
  const results: T[] = []
  for (const job of jobs) results.push(await job())
  return results
}
