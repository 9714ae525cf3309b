import { describe, it, expect } from 'vitest'
import { modelFilter, modelId, parseRequest } from '../../plugin/options/query.ts'
import { byName } from '../../plugin/text.ts'

describe('import text', () => {
  it.each([
    ['pose.onnx', 'pose.onnx', {}],
    ['pose.onnx?engine', 'pose.onnx', {}],
    ['pose.onnx?engine=', 'pose.onnx', {}],
    ['pose.onnx?', 'pose.onnx', {}],
    ['./a/pose.onnx?engine=fp16', './a/pose.onnx', { engine: 'fp16' }],
    ['@scope/models/pose.onnx?engine=int8-weights', '@scope/models/pose.onnx', { engine: 'int8-weights' }],
    ['#models/pose.onnx?engine=fp16', '#models/pose.onnx', { engine: 'fp16' }],
    ['C:\\models\\pose.onnx?engine=fp16', 'C:\\models\\pose.onnx', { engine: 'fp16' }],
    ['C:/models/pose.onnx', 'C:/models/pose.onnx', {}],
    ['/m/pose.onnx?import&engine=fp16&t=1732312', '/m/pose.onnx', { engine: 'fp16' }],
    ['/m/pose.onnx?v=8f3ca1&engine=fp16', '/m/pose.onnx', { engine: 'fp16' }],
    ['pose.onnx?engine=fp16&engine=fp16', 'pose.onnx', { engine: 'fp16' }],
    ['pose.onnx?backend=auto', 'pose.onnx', { backend: ['auto'] }],
    [
      'pose.onnx?backend=tensorrt-rtx,onnxruntime&target=sm89,sm86',
      'pose.onnx',
      { backend: ['tensorrt-rtx', 'onnxruntime'], target: ['sm89', 'sm86'] },
    ],
    ['pose.onnx?shapes=image:1x3x224x224', 'pose.onnx', { shapes: byName([['image', [1, 3, 224, 224]]]) }],
    [
      'pose.onnx?shapes=a:1,b:2x3',
      'pose.onnx',
      {
        shapes: byName([
          ['a', [1]],
          ['b', [2, 3]],
        ]),
      },
    ],
    ['pose.onnx?shapes=input:0:1x3', 'pose.onnx', { shapes: byName([['input:0', [1, 3]]]) }],
    ['pose.onnx?shapes=a%2Cb%26%3D%25:1', 'pose.onnx', { shapes: byName([['a,b&=%', [1]]]) }],
    ['pose.onnx?shapes=__proto__:1x3', 'pose.onnx', { shapes: byName([['__proto__', [1, 3]]]) }],
    [
      'pose.onnx?min=x:1x3&opt=x:4x3&max=x:8x3',
      'pose.onnx',
      {
        min: byName([['x', [1, 3]]]),
        opt: byName([['x', [4, 3]]]),
        max: byName([['x', [8, 3]]]),
      },
    ],
  ])('%s is a request', (id, file, query) => {
    expect(modelFilter.test(id)).toBe(true)
    const request = parseRequest(id)!
    expect(request).toEqual({ file, query })
    const canonical = modelId(request)
    expect(canonical.request).toEqual(
      request.query.target ? { file, query: { ...query, target: ['sm86', 'sm89'] } } : request,
    )
    expect(parseRequest(canonical.text)).toEqual(canonical.request)
  })

  it.each([
    'pose.onnx?url',
    'pose.onnx?raw',
    'pose.onnx?url&engine=fp16',
    'pose.onnx?inline',
    'pose.onnx?no-inline',
    'pose.onnx?worker&inline',
    'pose.onnx?import&url',
    '\0pose.onnx?commonjs-external',
    'virtual:pose.onnx',
    'https://host/pose.onnx',
    'data:,pose.onnx',
    'pose.js?model=a.onnx',
    'pose.onnx.js',
    'pose.onnxx',
    'onnx',
    '',
  ])('%j is left to the bundler', (id) => {
    expect(parseRequest(id)).toBe(undefined)
  })

  it.each([
    [
      'pose.onnx?engin=fp16',
      `import 'pose.onnx?engin=fp16': engin: expected one of backend, engine, io, max, min, opt, ` +
        `outputs, shapes, target, received an unknown key. Did you mean 'engine'?`,
    ],
    [
      'pose.onnx?toString',
      `import 'pose.onnx?toString': toString: expected one of backend, engine, io, max, min, opt, ` +
        'outputs, shapes, target, received an unknown key',
    ],
    [
      'pose.onnx?engine=fp16&engine=fp32',
      `import 'pose.onnx?engine=fp16&engine=fp32': engine: expected one value, received 'fp16' and 'fp32'`,
    ],
    ['pose.onnx?backend=', `import 'pose.onnx?backend=': backend: expected names separated by commas, received ''`],
    [
      'pose.onnx?target=sm86,,sm89',
      `import 'pose.onnx?target=sm86,,sm89': target: expected names separated by commas, received 'sm86,,sm89'`,
    ],
    [
      'pose.onnx?shapes',
      `import 'pose.onnx?shapes': shapes: expected 'name:1x3x224x224' for each input, separated by commas, received ''`,
    ],
    [
      'pose.onnx?shapes=1x3',
      `import 'pose.onnx?shapes=1x3': shapes: expected 'name:1x3x224x224' for each input, ` +
        `separated by commas, received '1x3'`,
    ],
    [
      'pose.onnx?shapes=x:1x-3',
      `import 'pose.onnx?shapes=x:1x-3': shapes: expected 'name:1x3x224x224' for each input, ` +
        `separated by commas, received 'x:1x-3'`,
    ],
    [
      'pose.onnx?shapes=x:1,,y:2',
      `import 'pose.onnx?shapes=x:1,,y:2': shapes: expected 'name:1x3x224x224' for each input, ` +
        `separated by commas, received ''`,
    ],
    [
      'pose.onnx?shapes=x:1,x:2',
      `import 'pose.onnx?shapes=x:1,x:2': shapes: expected each input once, received 'x' twice`,
    ],
    [
      'pose.onnx?shapes=100%:1',
      `import 'pose.onnx?shapes=100%:1': shapes: expected a percent-encoded name ('%' itself ` +
        `is '%25'), received '100%'`,
    ],
    ['pose.onnx?min=x:1', `import 'pose.onnx?min=x:1': min, opt, max: expected all three of them, received min`],
    [
      'pose.onnx?opt=x:1&max=x:1',
      `import 'pose.onnx?opt=x:1&max=x:1': min, opt, max: expected all three of them, received opt and max`,
    ],
    [
      'pose.onnx?shapes=y:1&min=x:1&opt=x:1&max=x:1',
      `import 'pose.onnx?shapes=y:1&min=x:1&opt=x:1&max=x:1': shapes: expected either fixed shapes ` +
        'or min, opt and max, received both',
    ],
  ])('%s is refused', (id, message) => {
    expect(() => parseRequest(id)).toThrow(expect.objectContaining({ code: 'QUERY_INVALID', message }))
  })

  it('shapes inherit nothing, so that an input may have any name', () => {
    expect(Object.getPrototypeOf(parseRequest('pose.onnx?shapes=__proto__:1')?.query.shapes)).toBe(null)
  })

  it('a long text is refused in a short message', () => {
    expect(() => parseRequest(`pose.onnx?${'a'.repeat(1e6)}`)).toThrow(/^.{0,500}$/s)
  })
})

describe('id of a model', () => {
  it.each([
    ['pose.onnx?engine', 'pose.onnx'],
    ['pose.onnx?t=1&engine=fp16', 'pose.onnx?engine=fp16'],
    ['pose.onnx?target=sm89,sm86&engine=fp16', 'pose.onnx?engine=fp16&target=sm86,sm89'],
    ['pose.onnx?shapes=b:1x03,a:2', 'pose.onnx?shapes=a:2,b:1x3'],
    ['pose.onnx?shapes=%61%2F0:1', 'pose.onnx?shapes=a/0:1'],
    ['pose.onnx?max=x:3&opt=x:2&min=x:1', 'pose.onnx?min=x:1&opt=x:2&max=x:3'],
  ])('%s has the id of %s', (one, other) => {
    expect(modelId(parseRequest(one)!)).toEqual(modelId(parseRequest(other)!))
  })

  it.each([
    ['pose.onnx?engine=fp16', 'pose.onnx'],
    ['pose.onnx?engine=fp16', 'face.onnx?engine=fp16'],
    ['pose.onnx?backend=onnxruntime,openvino', 'pose.onnx?backend=openvino,onnxruntime'],
    ['pose.onnx?shapes=a:1,b:2', 'pose.onnx?shapes=a%3A1%2Cb:2'],
  ])('%s does not have the id of %s', (one, other) => {
    expect(modelId(parseRequest(one)!).text).not.toBe(modelId(parseRequest(other)!).text)
  })

  it('an id keeps every character that an input name can have', () => {
    const names = [...Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code)), '\u2028', '😀', '\uD800']
    for (const name of names) {
      const request = { file: 'pose.onnx', query: { shapes: byName([[name, [1]]]) } }
      expect(parseRequest(modelId(request).text)).toEqual(request)
    }
  })
})

function millisecondsFor(count: number): number {
  const text = `m.onnx?shapes=${Array.from({ length: count }, (_, index) => `x${index}:1`).join(',')}`
  const start = performance.now()
  expect(Object.keys(parseRequest(text)?.query.shapes ?? {})).toHaveLength(count)
  return performance.now() - start
}

it('a query of 20 times as many inputs takes far less than 400 times as long to read', () => {
  millisecondsFor(2000)
  const short = Math.max(millisecondsFor(2000), millisecondsFor(2000))
  expect(Math.min(millisecondsFor(40_000), millisecondsFor(40_000))).toBeLessThan(150 * short)
})
