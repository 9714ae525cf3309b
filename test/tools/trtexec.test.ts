import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fromTrtexec } from '../../plugin/cli/trtexec.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
writeFileSync(join(folder, 'net.json'), JSON.stringify({ schema: 1, variants: [{ file: 'net.plan' }] }))

test.each<[string, string, string | undefined]>([
  ['the model', 'bench --onnx=net.onnx', 'bench net.onnx'],
  [
    'an optimization profile',
    'bench --onnx=net.onnx --minShapes=x:1x4 --optShapes=x:2x4 --maxShapes=x:8x4',
    'bench net.onnx --min x:1x4 --opt x:2x4 --max x:8x4',
  ],
  ['precisions', 'bench net.onnx --fp16 --int8 --duration=1', 'bench net.onnx --duration=1 --engine fp16,int8'],
  ['the time to warm up', 'bench net.onnx --warmUp=500', 'bench net.onnx --warmup 500'],
  ['streams', 'bench net.onnx --infStreams=4', 'bench net.onnx --concurrency 4'],
  ['a file for the engine', 'bench --onnx=net.onnx --saveEngine=out/net.plan', 'bench net.onnx --out out'],
  ['an engine', 'bench --loadEngine=FOLDER/net.plan', 'bench FOLDER/net.json'],
  ['our own spelling', 'bench net.onnx --engine fp16 --shapes x:1x4', undefined],
  ['a value that looks like an option', 'bench net.onnx --save=--fp16', undefined],
])('%s: %s', async (_, typed, ours) => {
  const args = typed.split(' ').map((arg) => arg.replace('FOLDER', folder))
  expect((await fromTrtexec(args))?.join(' ')).toBe(ours?.replace('FOLDER', folder))
})

test.each(['other.plan', 'absent/net.plan'])('an engine without a manifest (%s) is refused', async (engine) => {
  await expect(fromTrtexec([`--loadEngine=${folder}/${engine}`])).rejects.toThrow(
    /no manifest in .* lists this engine\. An engine alone does not say what its inputs are/,
  )
})
