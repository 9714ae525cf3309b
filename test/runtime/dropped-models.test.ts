import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { double, missingNative, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href

let manifest: ModelManifest
beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})

// Set it to 3000 after a change of how models are freed.
const dropped = Number(process.env['UNPLUGIN_ONNX_DROPPED'] ?? 300)

describe.skipIf(missingNative || process.platform !== 'linux')('models that are dropped without dispose()', () => {
  test.each(['native', 'worker'])('are freed (%s)', { timeout: 240_000 }, async (session) => {
    const script = join(folder, `dropped-${session}.mjs`)
    writeFileSync(
      script,
      `import { readFileSync } from 'node:fs'
import { createModel } from ${JSON.stringify(runtime)}
const manifest = ${JSON.stringify(manifest)}
const x = { data: Float32Array.of(1, 2), dims: [1, 2] }
const status = (key) => Number(new RegExp(key + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'latin1'))[1])
let most = 0
const round = async (count) => {
  for (let index = 0; index < count; index++) {
    await createModel(manifest, { session: '${session}' }).infer({ x })
    most = Math.max(most, status('Threads'))
    // What a worker holds is not seen by the garbage collector of this thread.
    if ('${session}' === 'worker' && index % 50 === 0) gc()
  }
}
await round(${dropped / 3})
const before = status('VmRSS')
await round(${(dropped * 2) / 3})
console.log(JSON.stringify({ most, grown: status('VmRSS') - before }))`,
    )
    const { most, grown } = JSON.parse(
      (await promisify(execFile)(process.execPath, ['--expose-gc', script])).stdout,
    ) as {
      most: number
      grown: number
    }
    // A model that stays keeps a thread of ONNX Runtime's.
    expect(most).toBeLessThan(250)
    expect(grown).toBeLessThan(40_000)
  })
})
