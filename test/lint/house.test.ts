import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import house from './house.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

test.each`
  from                            | imports                      | allowed
  ${'plugin/onnx/model.ts'}       | ${'./graph.ts'}              | ${true}
  ${'plugin/compile/model.ts'}    | ${'../cache/store.ts'}       | ${true}
  ${'plugin/compile/model.ts'}    | ${'../../runtime/errors.ts'} | ${true}
  ${'plugin/compile/model.ts'}    | ${'node:path'}               | ${true}
  ${'plugin/vite.ts'}             | ${'./bundler/rollup.ts'}     | ${true}
  ${'plugin/onnx/model.ts'}       | ${'../compile/model.ts'}     | ${false}
  ${'plugin/cache/store.ts'}      | ${'../imports/find.ts'}      | ${false}
  ${'plugin/precision/lower.ts'}  | ${'./half/pass.ts'}          | ${false}
  ${'plugin/precision/half/a.ts'} | ${'../int8/pass.ts'}         | ${false}
  ${'runtime/model.ts'}           | ${'../plugin/text.ts'}       | ${false}
  ${'runtime/errors.ts'}          | ${'./model.ts'}              | ${false}
`('floors: $from may import $imports: $allowed', ({ from, imports, allowed }) => {
  const messages: string[] = []
  const context = {
    filename: `${root}${from}`,
    report: ({ message }: { message: string }) => messages.push(message),
  }
  const { ImportDeclaration } = house.rules.floors.create(context)
  ImportDeclaration({ source: { value: imports } })
  expect(messages).toHaveLength(allowed ? 0 : 1)
})

test.each`
  line                                    | wide
  ${'a'.repeat(120)}                      | ${false}
  ${'a'.repeat(121)}                      | ${true}
  ${`// ${'a'.repeat(118)}`}              | ${true}
  ${`  /${'a|'.repeat(60)}/.test(text),`} | ${false}
`('width: a line of $line.length columns is reported: $wide', ({ line, wide }) => {
  const messages: string[] = []
  const context = {
    filename: `${root}plugin/text.ts`,
    sourceCode: { lines: ['', line] },
    report: ({ message }: { message: string }) => messages.push(message),
  }
  house.rules.width.create(context).Program({})
  expect(messages).toEqual(wide ? [`line 2 has ${line.length} columns, more than 120`] : [])
})
