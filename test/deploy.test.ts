import { execFile } from 'node:child_process'
import { cpSync, lstatSync, realpathSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { nodeFileTrace } from '@vercel/nft'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, test } from 'vitest'
import onnx from '../dist/plugin/rolldown.js'
import { install, writeFiles } from './app.ts'
import { tempFolder } from './helpers.ts'
import { affineModel } from './models.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const formats = { es: 'main.mjs', cjs: 'main.cjs' } as const
const app = tempFolder()

// The handler of a serverless function, which is also a program.
const source = `
import model from './model.onnx?engine=fp32'

export async function handler(values) {
  const { y } = await model.infer({ x: { data: Float32Array.from(values), dims: [1, 4] } })
  return [...y.data]
}
handler([1, 2, 3, 4]).then((y) => console.log(JSON.stringify(y)))
`

beforeAll(async () => {
  install(app, ['unplugin-onnx', 'onnxruntime-node'])
  writeFiles(app, { 'package.json': '{}', 'src/main.js': source, 'src/model.onnx': affineModel({ weight: 2 }) })
  for (const [format, entryFileNames] of Object.entries(formats)) {
    const bundle = await rolldown({ input: join(app, 'src/main.js'), plugins: [onnx({ root: app })], onLog: () => {} })
    await bundle.write({ dir: join(app, 'dist'), format: format as keyof typeof formats, entryFileNames })
    await bundle.close()
  }
})

describe.each(Object.entries(formats))('a traced deployment, %s', (_, entry) => {
  const target = tempFolder()

  test('holds all that runs, and runs where nothing else is', async () => {
    const { fileList } = await nodeFileTrace([join(app, 'dist', entry)], { base: '/', processCwd: app })
    const files = [...fileList].map((file) => join('/', file)).filter((file) => file !== '/proc/cpuinfo' && !lstatSync(file).isSymbolicLink())
    // Nothing of the machine, such as its cache folder.
    expect(files.filter((file) => placeOf(file).includes('..'))).toEqual([])
    for (const file of files) cpSync(file, join(target, placeOf(file)))
    const { stdout } = await promisify(execFile)(process.execPath, [join(target, 'dist', entry)], { cwd: target })
    expect(JSON.parse(stdout)).toEqual([3, 5, 7, 9])
    expect(files.map(placeOf).filter((file) => /unplugin-onnx.dist.plugin|(?:cacache|oxc-parser|unplugin|valibot).package\.json/.test(file))).toEqual([])
  })
})

// The app reaches this package and what is installed beside it by links: a deployment has them in its own node_modules.
function placeOf(file: string): string {
  const inApp = relative(realpathSync(app), file)
  if (!inApp.startsWith('..')) return inApp
  const inPackage = relative(realpathSync(repository), file)
  return inPackage.startsWith('node_modules') ? inPackage : join('node_modules', 'unplugin-onnx', inPackage)
}
