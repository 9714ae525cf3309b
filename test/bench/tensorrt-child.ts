// One measurement in its own process: `tensorrt-child.js build|delay <model> <shapes> <targets>`, the last two as JSON.
// `delay` prints milliseconds; `build` prints nothing, because its parent measures the memory that it takes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile, type Options } from 'unplugin-onnx'
import onnx from 'unplugin-onnx/vite'
import { createServer } from 'vite'
import { loopDelayDuring } from '../../plugin/bench/measure-calls.ts'

const [, , what = '', file = '', shapes = '{}', targets = '[]'] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'unplugin-onnx-bench-'))
const options: Options = {
  backends: ['tensorrt-rtx'],
  types: false,
  cache: { dir: join(folder, 'cache') },
  shapes: JSON.parse(shapes) as NonNullable<Options['shapes']>,
  targets: JSON.parse(targets) as string[],
}

const measurements: Readonly<Record<string, () => Promise<unknown>>> = {
  async build() {
    await compile(file, options)
  },
  async delay() {
    const server = await createServer({
      root: folder,
      configFile: false,
      logLevel: 'error',
      appType: 'custom',
      server: { middlewareMode: true, watch: null, ws: false },
      plugins: [onnx(options)],
    })
    console.log(await loopDelayDuring(1, () => server.environments.ssr.transformRequest(`${file}?engine=fp32`)))
    await server.close()
  },
}

try {
  const measure = measurements[what]
  if (!measure) throw new Error(`no measurement '${what}'`)
  await measure()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit()
