import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { typeSources } from '../../plugin/types/sync.ts'
import { tempFolder } from '../support/helpers.ts'
import { compile, linkPackage, resolutions, strictest, writeProject } from '../support/typed-project.ts'

const pose = (size: number) => ({
  inputs: { image: `float32[batch,${size}]` },
  outputs: { y: `float32[batch,${size}]` },
})
const { noEmit, ...shared } = strictest
const library = { ...shared, ...resolutions.nodenext, composite: true, rootDir: 'src', outDir: 'dist' }
const include = ['src', '.unplugin-onnx/**/*']
const packages = ['vision', 'server', 'web'] as const
const root = tempFolder()

// A library with a model, a server that uses it and has a model of its own, and a web app as `create vite` lays it out.
beforeAll(async () => {
  writeProject(root, {
    'package.json': { private: true, workspaces: ['packages/*'] },
    'tsconfig.json': { files: [], references: packages.map((name) => ({ path: `packages/${name}` })) },

    'packages/vision/package.json': { name: 'vision', type: 'module', exports: './dist/index.js' },
    'packages/vision/tsconfig.json': { compilerOptions: library, include },
    'packages/vision/src/pose.onnx': pose(3),
    'packages/vision/src/index.ts': `
import pose from './pose.onnx?engine=fp32'
export const model = pose
`,
    'packages/server/package.json': { name: 'server', type: 'module' },
    'packages/server/tsconfig.json': { compilerOptions: library, include, references: [{ path: '../vision' }] },
    'packages/server/src/own.onnx': pose(4),
    'packages/server/src/main.ts': `
import { model } from 'vision'
import own from './own.onnx?engine=fp32'
export const three: 3 = (await model.infer({ image: { data: new Float32Array(3), dims: [1, 3] } })).y.dims[1]
export const four: 4 = (await own.infer({ image: { data: new Float32Array(4), dims: [1, 4] } })).y.dims[1]
`,
    'packages/web/package.json': { name: 'web', type: 'module' },
    'packages/web/tsconfig.json': {
      files: [],
      references: [{ path: './tsconfig.app.json' }, { path: './tsconfig.node.json' }],
    },
    'packages/web/tsconfig.app.json': {
      compilerOptions: {
        ...shared,
        ...resolutions.bundler,
        noEmit,
        tsBuildInfoFile: './node_modules/.tmp/app.tsbuildinfo',
        paths: { '@/*': ['./src/*'] },
      },
      include,
    },
    'packages/web/tsconfig.node.json': {
      compilerOptions: {
        ...resolutions.bundler,
        strict: true,
        noEmit,
        types: [],
        tsBuildInfoFile: './node_modules/.tmp/node.tsbuildinfo',
      },
      include: ['vite.config.ts'],
    },
    'packages/web/vite.config.ts': 'export default {}',
    'packages/web/src/lib/pose.onnx': pose(5),
    'packages/web/src/server.ts': `
import pose from '@/lib/pose.onnx'
export const five: 5 = (await pose.infer({ image: { data: new Float32Array(5), dims: [1, 5] } })).y.dims[1]
`,
  })
  linkPackage(root)
  symlinkSync(join(root, 'packages/vision'), join(root, 'node_modules/vision'), 'junction')
  for (const name of packages) await typesOf(name)
})

// What differs between compilers is tested on one project in types.test.ts.
describe.each(['5.9', '7.0'] as const)('tsc -b of TypeScript %s', (version) => {
  const build = () => compile(root, version, 'tsconfig.json', '--build')

  test('a monorepo of project references builds, and builds again when a model has changed', async () => {
    writeProject(root, { 'packages/vision/src/pose.onnx': pose(3) })
    await typesOf('vision')
    expect(await build()).toEqual([])

    writeProject(root, { 'packages/vision/src/pose.onnx': pose(6) })
    await typesOf('vision')
    expect((await build()).join('\n')).toMatch(
      /^packages\/server\/src\/main\.ts\(4,14\): error TS2322: Type '6' is not assignable to type '3'/,
    )
  })
})

async function typesOf(name: string): Promise<void> {
  const { problems } = await typeSources(resolveOptions({}, join(root, 'packages', name)))
  for (const problem of problems) throw problem
}
