import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { dtypeRules } from '../../plugin/onnx/dtype-rules.ts'
import { loadGraph, type Scope, scopesOf } from '../../plugin/onnx/graph.ts'
import { type FloatSlot, floatSignature } from '../../plugin/onnx/signatures.ts'
import { inferTypes, type ValueType } from '../../plugin/onnx/types.ts'
import { newestOpset } from '../../plugin/onnx/upgrade-rules.ts'
import { dtypeOfCode } from '../../runtime/dtype.ts'
import { loadCorpus, type CorpusType, type Operator } from '../corpus/index.ts'
import { tempFolder } from '../support/helpers.ts'
import { encode, wireField } from '../support/models.ts'
import { orSkip } from '../support/python.ts'

const folder = tempFolder()
const corpus = await orSkip("dtypes of the ONNX library's own test models", loadCorpus)

const type = (elemType: number): object => ({ tensorType: { elemType } })

const call = (name: string): object => ({ opType: name, domain: 'mine', input: ['a'], output: ['b'] })

async function inferred(model: object, names: readonly string[]): Promise<unknown[]> {
  const file = join(folder, 'model.onnx')
  writeFileSync(
    file,
    encode('ModelProto', { irVersion: 10, opsetImport: [{ version: 17 }, { domain: 'mine', version: 1 }], ...model }),
  )
  const editable = await loadGraph(file)
  const types = inferTypes(editable)
  return names.map((name) => types.of({ graph: editable.proto.graph }, name))
}

describe.skipIf(!corpus)('dtypes of all values', () => {
  test('each operator of the main domain has a rule', () => {
    const names = new Set(corpus!.operators.map(({ name }) => name))
    expect(names.size).toBeGreaterThan(190)
    expect(Object.keys(dtypeRules).toSorted()).toEqual([...names].toSorted())
  })

  test('the floats that an operator reads and writes, and which share a dtype, match the schemas', () => {
    const differences: unknown[] = []
    for (const operator of corpus!.operators) {
      const next = Math.min(
        ...corpus!.operators.flatMap(({ name, since }) =>
          name === operator.name && since > operator.since ? [since] : [newestOpset + 1],
        ),
      )
      for (const opset of operator.deprecated || next <= 7 ? [] : new Set([Math.max(7, operator.since), next - 1])) {
        const signature = floatSignature(operator.name, opset)
        const [inputs, outputs] = [
          operator.inputs.map((_, index) => signature?.input(index)),
          operator.outputs.map((_, index) => signature?.output(index)),
        ]
        // The variables of a heterogeneous list are numbered letters.
        const received = described(
          [...inputs, ...outputs].map((slot) => slot && { ...slot, variable: slot.variable.charAt(0) }),
        )
        const expected = described([...operator.inputs, ...operator.outputs].map(({ type }) => slotOf(operator, type)))
        if (!isDeepStrictEqual(received, expected)) differences.push({ name: operator.name, opset, expected, received })
      }
    }
    expect(differences).toEqual([])
  })

  // What the models declare is taken away, except for inputs, so that the rules alone decide; only for operators of
  // other domains the declarations stay.
  test("the dtypes of every node of the library's test models are those that it infers", async () => {
    const differences: unknown[] = []
    let compared = 0
    for (const record of corpus!.records) {
      const model = await loadGraph(corpus!.file(record))
      const scopes = scopesOf(model)
      if (Object.keys(record.opsets).join() === '') undeclare(scopes)
      const types = inferTypes(model)
      scopes.forEach((scope, index) => {
        for (const [name, type] of record.types?.[index] ?? []) {
          const [expected, received] = [named(type), types.of(scope, name)]
          if (!isDeepStrictEqual(received, expected)) differences.push({ model: record.name, name, expected, received })
          compared++
        }
      })
    }
    expect(differences).toEqual([])
    expect(compared).toBeGreaterThan(10_000)
  })
})

describe('dtypes', () => {
  test('dtypes in a local function follow its arguments and the attributes of the call', async () => {
    const node = {
      opType: 'Cast',
      input: ['a'],
      output: ['b'],
      attribute: [{ name: 'to', refAttrName: 'kind', type: 2 }],
    }
    const inner = { name: 'inner', domain: 'mine', input: ['a'], output: ['b', 'a'], attribute: ['kind'], node: [node] }
    const within = {
      opType: 'inner',
      domain: 'mine',
      input: ['p'],
      output: ['q', 'r'],
      attribute: [{ name: 'kind', refAttrName: 'kind', type: 2 }],
    }
    const outer = {
      name: 'outer',
      domain: 'mine',
      input: ['p'],
      output: ['q', 'r'],
      attributeProto: [{ name: 'kind', type: 2, i: 10 }],
      node: [within],
    }
    const calls = [
      { opType: 'outer', domain: 'mine', input: ['x'], output: ['half', 'same'] },
      { opType: 'outer', domain: 'mine', input: ['x'], output: ['long'], attribute: [{ name: 'kind', type: 2, i: 7 }] },
    ]
    const graph = { input: [{ name: 'x', type: type(11) }], node: calls }
    expect(await inferred({ functions: [inner, outer], graph }, ['half', 'same', 'long', 'absent'])).toEqual([
      'float16',
      'float64',
      'int64',
      undefined,
    ])
  })

  test('dtypes of sequences are read as far as they are declared', async () => {
    const float = encode('ElementTypeProto', { elemType: type(1) })
    let bomb: Uint8Array = float
    for (let depth = 0; depth < 20_000; depth++) bomb = wireField(1, wireField(4, bomb))
    const input = [wireField(1, wireField(4, float)), Uint8Array.of(10, 1, 7), bomb].map((sequenceType, index) => ({
      name: `s${index}`,
      type: { sequenceType },
    }))
    const expected = [{ sequence: { sequence: 'float32' } }, undefined, undefined]
    expect(await inferred({ graph: { input } }, ['s0', 's1', 's2'])).toEqual(expected)
  })

  test('functions that call themselves do not make the search endless', async () => {
    const functions = ['f', 'g'].map((name) => ({
      name,
      domain: 'mine',
      input: ['a'],
      output: ['b'],
      node: [call('g'), call('f')],
    }))
    const graph = { input: [{ name: 'a', type: type(1) }], node: [call('f')] }
    expect(await inferred({ functions, graph }, ['a', 'b'])).toEqual(['float32', undefined])
  })

  test('dtypes in a loop follow its inputs where the body declares none', async () => {
    const body = {
      input: [{ name: 'i' }, { name: 'go' }, { name: 'carried' }],
      node: [
        { opType: 'Identity', input: ['go'], output: ['on'] },
        { opType: 'Add', input: ['carried', 'outside'], output: ['next'] },
        { opType: 'Shape', input: ['next'], output: ['scan'] },
      ],
      output: [{ name: 'on' }, { name: 'next' }, { name: 'scan' }],
    }
    const loop = {
      opType: 'Loop',
      input: ['', '', 'x'],
      output: ['last', 'all'],
      attribute: [{ name: 'body', type: 5, g: body }],
    }
    const graph = {
      input: [
        { name: 'x', type: type(10) },
        { name: 'outside', type: type(10) },
      ],
      node: [loop],
    }
    expect(await inferred({ graph }, ['last', 'all'])).toEqual(['float16', 'int64'])
  })

  test.each([
    [9, 'float32'],
    [10, 'bool'],
  ])('the mask of Dropout at opset %d is %s', async (version, mask) => {
    const graph = {
      input: [{ name: 'x', type: type(1) }],
      node: [{ opType: 'Dropout', input: ['x'], output: ['y', 'mask'] }],
    }
    expect(await inferred({ graph, opsetImport: [{ version }] }, ['y', 'mask'])).toEqual(['float32', mask])
  })
})

test('the floats of a variadic input share a dtype only where the operator requires it', () => {
  const [concat, loop] = [floatSignature('Concat', 17), floatSignature('Loop', 17)]
  expect([concat?.input(0), concat?.input(9)]).toEqual([concat?.output(0), concat?.output(0)])
  expect(concat?.input(0)?.accepts).toEqual(['float16', 'bfloat16'])
  expect([loop?.input(0), loop?.input(2), loop?.input(4)]).toEqual([undefined, loop?.output(0), loop?.output(2)])
  expect(loop?.output(0)?.variable).not.toBe(loop?.output(1)?.variable)
  expect([floatSignature('Gelu', 19), floatSignature('Frobnicate', 19)]).toEqual([undefined, undefined])
})

function slotOf(operator: Operator, type: string): FloatSlot | undefined {
  const types = operator.types[type] ?? [type]
  const accepts = (['float16', 'bfloat16'] as const).filter((dtype) => types.includes(`tensor(${dtype})`))
  return types.includes('tensor(float)') ? { variable: type, accepts } : undefined
}

// Which slots go together, whatever their variables are called.
function described(slots: readonly (FloatSlot | undefined)[]): unknown[] {
  return slots.map(
    (slot) => slot && { first: slots.findIndex((other) => other?.variable === slot.variable), accepts: slot.accepts },
  )
}

function undeclare(scopes: readonly Scope[]): void {
  for (const { graph } of scopes) {
    graph.valueInfo = []
    for (const output of graph.output) output.type = null
  }
}

function named(type: CorpusType): ValueType | undefined {
  if (typeof type === 'number') return dtypeOfCode(type)
  return 'sequence' in type ? { sequence: named(type.sequence)! } : { optional: named(type.optional)! }
}
