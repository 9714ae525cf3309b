import { expect, test } from 'vitest'
import { warnOfTemplate } from '../../plugin/bundler/template-imports.ts'

function warningsFor(code: string): readonly string[] {
  const lines: string[] = []
  warnOfTemplate(code, (line) => lines.push(line))
  return lines
}

test.each<[code: string, count: number]>([
  ['import(`./${name}.onnx?engine=fp16`)', 1],
  ['import(\n  `./${name}.onnx?engine`)', 1],
  ['import(`./pose.js`); import(`./${name}.onnx?engine`)', 1],
  ['import(`./${name}.onnx?a`); import(`./${name}.onnx?b`)', 1],
  ['import(`./pose.onnx?engine=${engine}`)', 0],
  ['import(`./${name}.onnx`)', 0],
  ['import("./pose.onnx?engine")', 0],
])('%s gives %i warnings', (code, count) => {
  expect(warningsFor(code)).toHaveLength(count)
})

test('a megabyte of beginnings is searched in linear time', () => {
  expect(warningsFor('import(`${'.repeat(100_000))).toEqual([])
  expect(warningsFor(`import(\`${'${.onnx?'.repeat(100_000)}`)).toEqual([])
})
