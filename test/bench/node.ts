import { mkdtempSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { runProgram } from './measure.ts'
import { classifier, compiled, workFolder } from './models.ts'
import type { Row } from './row.ts'

const repository = fileURLToPath(new URL('../../../..', import.meta.url))

/** What the hook of plain Node.js adds to a start that compiles nothing. */
export async function nodeBench(): Promise<readonly Row[]> {
  const app = mkdtempSync(join(workFolder, 'node-'))
  mkdirSync(join(app, 'node_modules'))
  for (const [name, folder] of [
    ['unplugin-onnx', repository],
    ['onnxruntime-node', join(repository, 'node_modules/onnxruntime-node')],
  ] as const)
    symlinkSync(folder, join(app, 'node_modules', name), 'junction')
  symlinkSync(classifier.file, join(app, 'model.onnx'))
  const infer = `
const data = new Float32Array(${classifier.dims.reduce((product, dim) => product * dim, 1)}).fill(0.5)
await model.infer({ x: { data, dims: ${JSON.stringify(classifier.dims)} } })`
  const manifest = await compiled(classifier)
  writeFileSync(join(app, 'hooked.mjs'), `import model from './model.onnx?engine=fp32'${infer}`)
  writeFileSync(
    join(app, 'plain.mjs'),
    `import { loadModel } from 'unplugin-onnx/runtime'
const model = await loadModel(${JSON.stringify(manifest)})${infer}`,
  )
  const run = async (...args: readonly string[]) => (await runProgram(process.execPath, args, app)).milliseconds
  const hooked = () => run('--import', 'unplugin-onnx/node', 'hooked.mjs')
  // The first compiles, the second records the start.
  await hooked()
  await hooked()
  const times = await inTurn(15, hooked, () => run('plain.mjs'))
  return [
    {
      name: 'second start by `node --import unplugin-onnx/node`, classifier',
      beside: 'loadModel() of the same engine',
      ...times,
      unit: 'ms',
      aim: { of: 'difference', atMost: 60 },
    },
  ]
}
