import { execFile } from 'node:child_process'
import { cpSync, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { nodeFileTrace } from '@vercel/nft'
import { unzipSync, zipSync } from 'fflate'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, test } from 'vitest'
import onnx from '../../dist/plugin/rolldown.js'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))
const formats = { es: 'main.mjs', cjs: 'main.cjs' } as const
const app = tempFolder()
// docs/deploying.md says to leave them out.
const otherPlatforms = new RegExp(`onnxruntime-node.bin.napi-v\\d+.(?!${process.platform})`)

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

describe.each(Object.entries(formats))('traced deployment, %s', (_, entry) => {
  const target = tempFolder()

  test('the traced files run where nothing else is installed', async () => {
    const files = await trace(app, join('dist', entry))
    // Nothing of the machine, such as its cache folder.
    expect(Object.keys(files).filter((place) => place.includes('..'))).toEqual([])
    for (const [place, file] of Object.entries(files)) cpSync(file, join(target, place))
    expect(await runScript(target, join('dist', entry))).toEqual([3, 5, 7, 9])
    expect(
      Object.keys(files).filter((place) =>
        /unplugin-onnx.dist.plugin|(?:cacache|oxc-parser|unplugin|valibot).package\.json/.test(place),
      ),
    ).toEqual([])
  })
})

test('the serverless example answers from an unpacked zip that is within the limit of AWS Lambda', async () => {
  const [project, instance] = [tempFolder(), tempFolder()]
  cpSync(join(repository, 'test/deploy/serverless'), project, { recursive: true })
  writeFiles(project, { 'src/model.onnx': affineModel({ weight: 2 }) })
  install(project, ['unplugin-onnx', 'onnxruntime-node'])
  await run(process.execPath, [join(repository, 'node_modules/rolldown/bin/cli.mjs'), '--config'], { cwd: project })

  const files = Object.entries(await trace(project, join('dist', 'handler.js'))).filter(
    ([place]) => !otherPlatforms.test(place),
  )
  const zip = zipSync(
    Object.fromEntries(files.map(([place, file]) => [place.replaceAll(sep, '/'), readFileSync(file)])),
    { level: 0 },
  )
  const unpacked = unzipSync(zip)
  expect(Object.values(unpacked).reduce((sum, { length }) => sum + length, 0)).toBeLessThan(250e6)
  writeFiles(instance, {
    ...unpacked,
    'invoke.mjs': `
import { handler } from './dist/handler.js'
const bodies = []
for (const values of [[1, 2, 3, 4], [0, 0, 0, 0]]) {
  const { body } = await handler({ body: JSON.stringify(values) })
  bodies.push(JSON.parse(body))
}
console.log(JSON.stringify(bodies))`,
  })
  expect(await runScript(instance, 'invoke.mjs')).toEqual([
    [3, 5, 7, 9],
    [1, 1, 1, 1],
  ])
})

/** The files that an entry needs: by their place in a deployment, where they are now. */
async function trace(root: string, entry: string): Promise<Readonly<Record<string, string>>> {
  const { fileList } = await nodeFileTrace([join(root, entry)], { base: '/', processCwd: root })
  const files = [...fileList]
    .map((file) => join('/', file))
    .filter((file) => file !== '/proc/cpuinfo' && !lstatSync(file).isSymbolicLink())
  return Object.fromEntries(files.map((file) => [placeOf(root, file), file]))
}

async function runScript(folder: string, script: string): Promise<unknown> {
  return JSON.parse((await run(process.execPath, [script], { cwd: folder })).stdout)
}

// The app reaches this package and what is installed beside it by links: a deployment has them in its own node_modules.
function placeOf(root: string, file: string): string {
  const inApp = relative(realpathSync(root), file)
  if (!inApp.startsWith('..')) return inApp
  const inPackage = relative(realpathSync(repository), file)
  return inPackage.startsWith('node_modules') ? inPackage : join('node_modules', 'unplugin-onnx', inPackage)
}
