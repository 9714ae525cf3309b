import { resolve } from 'node:path'
import { describe, it, expect } from 'vitest'
import { checkShapes } from '../../plugin/options/check-shapes.ts'
import { parseRequest } from '../../plugin/options/query.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import type { Options } from '../../plugin/options/types.ts'
import { byName } from '../../plugin/text.ts'
import { type Dim, type Bindings, precisions } from '../../runtime/manifest.ts'

const root = resolve('/app')
const engines = [...precisions, 'auto'].join(', ')

const compileFor = (user: Options, id: string) => compileOptions(resolveOptions(user, root), parseRequest(id)!)

const input = (name: string, dims: readonly Dim[] | null) => ({ name, dtype: 'float32' as const, dims })

const bound = (...entries: [string, number[]][]) => byName(entries)

describe('options', () => {
  it('every option has a default', () => {
    expect(resolveOptions(undefined, root)).toEqual({
      engine: 'fp32',
      backends: 'auto',
      targets: [],
      shapes: {},
      profiles: [],
      dims: 'named',
      outputs: [],
      optionalInputs: [],
      precision: { fp32: [], io: 'fp32', whenSlower: 'fp32', budget: 120_000 },
      verify: {},
      onnxruntime: { optimization: 'all', portable: true },
      openvino: { device: 'CPU', performanceHint: 'latency' },
      tensorrtRtx: { memoryPoolLimits: {}, profilingVerbosity: 'layer-names-only', stripPlan: false, refit: false },
      tensorrt: {
        memoryPoolLimits: {},
        profilingVerbosity: 'layer-names-only',
        stripPlan: false,
        refit: false,
        hardwareCompatibility: 'none',
        versionCompatible: false,
        timingCache: true,
        machines: [],
      },
      models: {},
      convert: {},
      root,
      cache: { dir: resolve('/app/node_modules/.cache/unplugin-onnx'), maxSize: 10e9, maxAge: 30 * 86_400_000 },
      types: { dir: resolve('/app/.unplugin-onnx') },
      assetsDir: 'assets',
      standalone: false,
      platform: 'auto',
      web: { webgpu: false, isolate: false, allowSoftware: false },
      frozen: false,
      verbose: false,
    })
    expect(resolveOptions({ engine: undefined, cache: { dir: undefined }, root: undefined }, root)).toEqual(
      resolveOptions({}, root),
    )
    expect(resolveOptions().root).toBe(process.cwd())
  })

  it.each<[Options, object]>([
    [{ cache: { maxSize: '5GB' } }, { cache: { maxSize: 5e9 } }],
    [{ cache: { maxSize: '1.5 GiB' } }, { cache: { maxSize: 1.5 * 2 ** 30 } }],
    [{ cache: { maxSize: Infinity, maxAge: '12h' } }, { cache: { maxSize: Infinity, maxAge: 43_200_000 } }],
    [{ cache: { maxAge: 1000 } }, { cache: { maxAge: 1000 } }],
    [
      { root: 'packages/a', cache: { dir: '../cache' } },
      { root: resolve('/app/packages/a'), cache: { dir: resolve('/app/packages/cache') } },
    ],
    [{ types: false }, { types: false }],
    [{ types: { dir: resolve('/types') } }, { types: { dir: resolve('/types') } }],
    [{ targets: ['sm89', 'sm120', 'sm86'] }, { targets: ['sm120', 'sm86', 'sm89'] }],
    [{ backends: ['tensorrt-rtx', 'onnxruntime'] }, { backends: ['tensorrt-rtx', 'onnxruntime'] }],
    [
      JSON.parse('{"shapes":{"__proto__":[1,3],"constructor":[2]}}'),
      {
        shapes: byName([
          ['__proto__', [1, 3]],
          ['constructor', [2]],
        ]),
      },
    ],
  ])('the options %j are accepted', (user, expected) => {
    expect(resolveOptions(user, root)).toMatchObject(expected)
  })

  it.each<[unknown, string]>([
    [null, `the options: expected an object, received null`],
    [[], `the options: expected an object, received []`],
    ['fp16', `the options: expected an object, received 'fp16'`],
    [new Map(), `the options: expected an object, received Map(0) {}`],
    [
      { engin: 'fp16' },
      `option 'engin': expected one of engine, backends, targets, shapes, profiles, dims, outputs, ` +
        'optionalInputs, calibration, ' +
        'precision, verify, keepOnnx, onnxruntime, openvino, tensorrtRtx, tensorrt, models, convert, root, ' +
        `cache, types, assetsDir, standalone, platform, web, frozen, verbose, events, received 'engin'. ` +
        `Did you mean 'engine'?`,
    ],
    [{ engine: 'FP16' }, `option 'engine': expected one of ${engines}, received 'FP16'. Did you mean 'fp16'?`],
    [{ engine: 16 }, `option 'engine': expected one of ${engines}, received 16. Did you mean 'fp16'?`],
    [
      { backends: 'onnxruntime' },
      `option 'backends': expected 'auto' or a list of onnxruntime, openvino, tensorrt-rtx, ` +
        `tensorrt, wasm, webgpu, received 'onnxruntime'`,
    ],
    [
      { backends: ['onnxruntim'] },
      `option 'backends[0]': expected one of onnxruntime, openvino, tensorrt-rtx, tensorrt, ` +
        `wasm, webgpu, received 'onnxruntim'. Did you mean 'onnxruntime'?`,
    ],
    [{ backends: [] }, `option 'backends': expected at least one backend, received []`],
    [
      { backends: ['onnxruntime', { remote: 'http://a' }, 'openvino'] },
      `option 'backends': expected one server at most, before or after the backends, ` +
        `received [ 'onnxruntime', { remote: 'http://a' }, 'openvino' ]`,
    ],
    [
      { backends: [{ remote: 'ftp://a' }] },
      `option 'backends[0].remote': expected a URL of grpc://, grpcs://, http:// or https://, received 'ftp://a'`,
    ],
    [{ backends: [{ remote: [] }] }, `option 'backends[0].remote': expected at least one URL, received []`],
    [
      { backends: [{ url: 'http://a' }] },
      `option 'backends[0].remote': expected the keys remote, model, version, received undefined`,
    ],
    [
      { backends: [{ remote: 'http://me:secret@a' }] },
      `option 'backends[0].remote': expected a URL without a user name; give credentials at load, in remote.headers, ` +
        `received 'http://...@a'`,
    ],
    [
      { backends: ['onnxruntime', 'onnxruntime'] },
      `option 'backends': expected no name twice, received [ 'onnxruntime', 'onnxruntime' ]`,
    ],
    [{ targets: ['8.6'] }, `option 'targets[0]': expected a compute capability such as 'sm86', received '8.6'`],
    [{ shapes: { image: '1x3' } }, `option 'shapes.image': expected Array, received '1x3'`],
    [{ shapes: { 'input:0': [1, '3'] } }, `option 'shapes["input:0"][1]': expected number, received '3'`],
    [{ shapes: JSON.parse('{"__proto__":1}') }, `option 'shapes.__proto__': expected Array, received 1`],
    [{ shapes: { x: [Number.NaN] } }, `option 'shapes.x[0]': expected number, received NaN`],
    [{ profiles: 'all' }, `option 'profiles': expected 'auto' or a list of profiles, received 'all'`],
    [{ profiles: { min: {} } }, `option 'profiles': expected Array, received { min: {} }`],
    [
      { profiles: [{ min: {}, opt: {} }] },
      `option 'profiles[0].max': expected the keys min, opt, max, values, received undefined`,
    ],
    [
      { profiles: [{ min: {}, opt: {}, max: {}, mx: {} }] },
      `option 'profiles[0].mx': expected one of min, opt, max, values, received 'mx'. Did you mean 'max'?`,
    ],
    [
      { models: { '**/pose.onnx': { engine: 'fp61' } } },
      `option 'models["**/pose.onnx"].engine': expected one of ${engines}, received 'fp61'. Did you mean 'fp16'?`,
    ],
    [
      { models: { 'a.onnx': { cache: {} } } },
      `option 'models["a.onnx"].cache': expected one of engine, backends, targets, shapes, ` +
        'profiles, dims, outputs, optionalInputs, calibration, ' +
        'precision, verify, keepOnnx, onnxruntime, openvino, tensorrtRtx, ' +
        `tensorrt, received 'cache'`,
    ],
    [
      { models: { '': {} } },
      `option 'models[""]': expected a glob that is not empty and does not start with '!', received ''`,
    ],
    [
      { models: { '!a.onnx': {} } },
      `option 'models["!a.onnx"]': expected a glob that is not empty and does not start with '!', received '!a.onnx'`,
    ],
    [
      { onnxruntime: { optimization: 'extend' } },
      `option 'onnxruntime.optimization': expected one of disabled, basic, extended, all, received ` +
        `'extend'. Did you mean 'extended'?`,
    ],
    [
      { openvino: { device: 'cpu' } },
      `option 'openvino.device': expected a device such as 'CPU', 'GPU.1' or 'NPU', received 'cpu'`,
    ],
    [{ openvino: { threads: 1.5 } }, `option 'openvino.threads': expected a whole number from 1, received 1.5`],
    [
      { tensorrtRtx: { builderOptimizationLevel: 6 } },
      `option 'tensorrtRtx.builderOptimizationLevel': expected a whole number from 0 to 5, received 6`,
    ],
    [
      { tensorrtRtx: { versionCompatible: true } },
      `option 'tensorrtRtx.versionCompatible': expected one of library, builderOptimizationLevel, ` +
        `maxAuxStreams, memoryPoolLimits, profilingVerbosity, stripPlan, refit, received 'versionCompatible'`,
    ],
    [
      { tensorrtRtx: { memoryPoolLimits: { workspace: '2 parsecs' } } },
      `option 'tensorrtRtx.memoryPoolLimits.workspace': expected a positive number of bytes, or ` +
        `text such as '2GiB', received '2 parsecs'`,
    ],
    [{ openvino: { library: '' } }, `option 'openvino.library': expected a path, received ''`],
    [{ cache: 'off' }, `option 'cache': expected an object, received 'off'`],
    [
      { cache: { maxsize: 1 } },
      `option 'cache.maxsize': expected one of dir, maxSize, maxAge, remote, received 'maxsize'. ` +
        `Did you mean 'maxSize'?`,
    ],
    [
      { cache: { maxSize: '5 apples' } },
      `option 'cache.maxSize': expected a positive number of bytes, or text such as '5GB', received '5 apples'`,
    ],
    [
      { cache: { maxSize: -1 } },
      `option 'cache.maxSize': expected a positive number of bytes, or text such as '5GB', received -1`,
    ],
    [
      { cache: { maxAge: '30 constructor' } },
      `option 'cache.maxAge': expected a positive number of milliseconds, or text such as '30d', ` +
        `received '30 constructor'`,
    ],
    [{ types: true }, `option 'types': expected false or an object, received true`],
    [{ types: { dirr: 'x' } }, `option 'types.dirr': expected one of dir, received 'dirr'. Did you mean 'dir'?`],
    [{ types: null }, `option 'types': expected an object, received null`],
    [
      { assetsDir: '../out' },
      `option 'assetsDir': expected a relative path inside the output folder, received '../out'`,
    ],
    [{ assetsDir: '/out' }, `option 'assetsDir': expected a relative path inside the output folder, received '/out'`],
    [{ root: '' }, `option 'root': expected a path, received ''`],
    [{ verbose: 'yes' }, `option 'verbose': expected boolean, received 'yes'`],
    [
      { ['a'.repeat(1000)]: 1 },
      `option '["${'a'.repeat(80)}..."]': expected one of engine, backends, targets, shapes, ` +
        'profiles, dims, outputs, optionalInputs, calibration, ' +
        'precision, verify, keepOnnx, onnxruntime, openvino, tensorrtRtx, ' +
        'tensorrt, models, convert, root, cache, types, assetsDir, standalone, platform, web, frozen, verbose, ' +
        'events, received ' +
        `'${'a'.repeat(80)}'... 920 more characters`,
    ],
  ])('the options %j are refused', (user, message) => {
    expect(() => resolveOptions(user, root)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID', message }))
  })
})

describe('options of one import', () => {
  it.each<[string, Options, string, object]>([
    ['the top level', { engine: 'bf16' }, 'a.onnx', { engine: 'bf16' }],
    ['the query before the top level', { engine: 'bf16' }, 'a.onnx?engine=fp16', { engine: 'fp16' }],
    [
      'the query before a glob',
      { models: { '**': { engine: 'bf16', backends: ['openvino'] } } },
      'a.onnx?engine=fp16',
      { engine: 'fp16', backends: ['openvino'] },
    ],
    [
      'a glob before the top level',
      { engine: 'bf16', models: { '*.onnx': { engine: 'fp16' } } },
      'a.onnx?engine',
      { engine: 'fp16' },
    ],
    [
      'a later glob, key by key',
      { models: { '**': { engine: 'fp16', targets: ['sm86'] }, 'a.*': { engine: 'int8' } } },
      'a.onnx',
      { engine: 'int8', targets: ['sm86'] },
    ],
    ['no glob that does not match', { models: { 'b.onnx': { engine: 'fp16' } } }, 'a.onnx', { engine: 'fp32' }],
    [
      'a backend section, key by key',
      { onnxruntime: { optimization: 'basic' }, models: { '**': { onnxruntime: {} } } },
      'a.onnx',
      { onnxruntime: { optimization: 'basic', portable: true } },
    ],
    [
      'no key that is undefined',
      {
        engine: 'bf16',
        onnxruntime: { optimization: 'all' },
        models: { '**': { engine: undefined, onnxruntime: { optimization: undefined } } },
      },
      'a.onnx',
      { engine: 'bf16', onnxruntime: { optimization: 'all', portable: true } },
    ],
    [
      'backends of the query',
      { backends: ['openvino'] },
      'a.onnx?backend=tensorrt-rtx,onnxruntime&target=sm89,sm86',
      { backends: ['tensorrt-rtx', 'onnxruntime'], targets: ['sm86', 'sm89'] },
    ],
    ['auto in the query', { backends: ['openvino'] }, 'a.onnx?backend=auto', { backends: 'auto' }],
    [
      'shapes, input by input',
      { shapes: { x: [1], y: [2] } },
      'a.onnx?shapes=x:3',
      {
        shapes: byName([
          ['x', [3]],
          ['y', [2]],
        ]),
      },
    ],
    [
      'a profile of the query',
      { profiles: [] },
      'a.onnx?min=x:1&opt=x:2&max=x:3',
      { profiles: [{ min: { x: [1] }, opt: { x: [2] }, max: { x: [3] } }] },
    ],
    [
      'fixed shapes beside a profile of another input',
      { profiles: [{ min: { x: [1] }, opt: { x: [2] }, max: { x: [3] } }] },
      'a.onnx?shapes=y:1',
      { shapes: { y: [1] } },
    ],
    [
      'a folder glob',
      { models: { 'models/**': { engine: 'fp16' } } },
      resolve('/app/models/deep/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob that starts with ./',
      { models: { './models/*.onnx': { engine: 'fp16' } } },
      resolve('/app/models/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob on a package',
      { models: { '@scope/models/**': { engine: 'fp16' } } },
      resolve('/app/node_modules/@scope/models/assets/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob on a specifier',
      { models: { '@scope/models/**': { engine: 'fp16' } } },
      '@scope/models/assets/a.onnx',
      { engine: 'fp16' },
    ],
    [
      'a glob on a package in a store',
      { models: { '@scope/models/**': { engine: 'fp16' } } },
      resolve('/app/node_modules/.pnpm/@scope+models@1.0.0/node_modules/@scope/models/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob on a hoisted package',
      { models: { 'pkg/*.onnx': { engine: 'fp16' } } },
      resolve('/node_modules/pkg/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob on a file outside the root',
      { models: { '**/a.onnx': { engine: 'fp16' } } },
      resolve('/shared/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob that climbs',
      { models: { '../shared/*.onnx': { engine: 'fp16' } } },
      resolve('/shared/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob on dot folders',
      { models: { '**/a.onnx': { engine: 'fp16' } } },
      resolve('/app/.models/a.onnx'),
      { engine: 'fp16' },
    ],
    [
      'a glob with brackets that are escaped',
      { models: { 'a\\[1\\].onnx': { engine: 'fp16' } } },
      resolve('/app/a[1].onnx'),
      { engine: 'fp16' },
    ],
  ])('options of an import: %s', (_, user, id, expected) => {
    expect(compileFor(user, id)).toMatchObject(expected)
  })

  it('only options that decide the compilation are kept', () => {
    expect(Object.keys(compileFor({}, 'a.onnx')).sort()).toEqual([
      'backends',
      'dims',
      'engine',
      'fastest',
      'onnxruntime',
      'openvino',
      'optionalInputs',
      'outputs',
      'precision',
      'profiles',
      'shapes',
      'targets',
      'tensorrt',
      'tensorrtRtx',
      'verify',
    ])
    expect(
      compileFor(
        { calibration: 's/*.npy', models: { 'a.onnx': { calibration: { samples: 's.mjs', limit: 3 } } } },
        'a.onnx',
      ).calibration,
    ).toEqual({ samples: 's.mjs', limit: 3, percentile: 99.999, timeout: 60_000 })
  })

  it('an input is never inherited from a prototype', () => {
    for (const { shapes } of [compileFor({}, 'a.onnx'), compileFor({ shapes: { x: [1] } }, 'a.onnx?shapes=y:1')]) {
      expect(shapes['__proto__']).toBe(undefined)
      expect(shapes['constructor']).toBe(undefined)
    }
    expect(compileFor({}, 'a.onnx?shapes=__proto__:1x3').shapes['__proto__']).toEqual([1, 3])
  })

  const profile = { min: { x: [1] }, opt: { x: [2] }, max: { x: [3] } }
  it.each<[Options, string, string, string]>([
    [
      {},
      'm/a.onnx?engine=fp17',
      'QUERY_INVALID',
      `import 'm/a.onnx?engine=fp17': engine: expected one of ${engines}, received 'fp17'. Did you mean 'fp16'?`,
    ],
    [
      {},
      'm/a.onnx?backend=cpu',
      'QUERY_INVALID',
      `import 'm/a.onnx?backend=cpu': backend: expected one of onnxruntime, openvino, ` +
        `tensorrt-rtx, tensorrt, wasm, webgpu, received 'cpu'`,
    ],
    [
      {},
      'm/a.onnx?backend=auto,openvino',
      'QUERY_INVALID',
      `import 'm/a.onnx?backend=auto,openvino': backend: expected one of onnxruntime, openvino, ` +
        `tensorrt-rtx, tensorrt, wasm, webgpu, received 'auto'`,
    ],
    [
      {},
      'm/a.onnx?target=86',
      'QUERY_INVALID',
      `import 'm/a.onnx?target=86': target: expected a compute capability such as 'sm86', received '86'`,
    ],
    [
      { profiles: [profile] },
      'a.onnx?shapes=x:1',
      'QUERY_INVALID',
      `model 'a.onnx': input 'x': expected fixed dims or an optimization profile, received both, ` +
        `from the query's shapes and from profiles. Remove one of them`,
    ],
    [
      { models: { '**': { shapes: { x: [1] } } } },
      'a.onnx?min=x:1&opt=x:2&max=x:3',
      'QUERY_INVALID',
      `model 'a.onnx': input 'x': expected fixed dims or an optimization profile, received both, ` +
        `from models["**"].shapes and from the query's min, opt and max. Remove one of them`,
    ],
    [
      { shapes: { x: [1] }, models: { 'a*': { profiles: [profile] } } },
      'a.onnx?engine=fp16',
      'OPTION_INVALID',
      `model 'a.onnx': input 'x': expected fixed dims or an optimization profile, received both, ` +
        'from shapes and from models["a*"].profiles. Remove one of them',
    ],
  ])('the options %j are refused with %s', (user, id, code, message) => {
    expect(() => compileFor(user, id)).toThrow(expect.objectContaining({ code, message }))
  })
})

describe('shapes and profiles', () => {
  const bindings: Bindings = {
    inputs: [
      input('image', ['batch', 3, null, null]),
      input('mask', ['batch', 1]),
      input('scale', []),
      input('any', null),
      input('__proto__', ['n', 'n']),
    ],
    outputs: [input('heatmap', ['batch', 17])],
  }

  it.each([
    { shapes: {}, profiles: [] },
    { shapes: bound(['image', [2, 3, 224, 448]], ['mask', [2, 1]]), profiles: [] },
    { shapes: bound(['scale', []], ['any', [1, 2, 3]], ['__proto__', [4, 4]]), profiles: [] },
    {
      shapes: {},
      profiles: [{ min: bound(['mask', [1, 1]]), opt: bound(['mask', [1, 1]]), max: bound(['mask', [8, 1]]) }],
    },
  ])('the shapes %j fit the model', (options) => {
    expect(() => checkShapes(options, bindings, 'pose')).not.toThrow()
  })

  it.each([
    [
      bound(['imgae', [1, 3, 1, 1]]),
      `model 'pose': shapes.imgae: expected one of the model's inputs ('image', 'mask', 'scale', ` +
        `'any', '__proto__'), received no such input. Did you mean 'image'?`,
    ],
    [
      bound(['heatmap', [1, 17]]),
      `model 'pose': shapes.heatmap: expected one of the model's inputs ('image', 'mask', 'scale', ` +
        `'any', '__proto__'), received no such input`,
    ],
    [
      bound(['constructor', [1]]),
      `model 'pose': shapes.constructor: expected one of the model's inputs ('image', 'mask', ` +
        `'scale', 'any', '__proto__'), received no such input`,
    ],
    [
      bound(['image', [3, 224, 224]]),
      `model 'pose': shapes.image: expected rank 4, as the model has [batch, 3, ?, ?], received rank 3, [3, 224, 224]`,
    ],
    [bound(['scale', [1]]), `model 'pose': shapes.scale: expected rank 0, as the model has [], received rank 1, [1]`],
    [
      bound(['image', [1, 4, 224, 224]]),
      `model 'pose': shapes.image[1]: expected 3, which is static in the model, received 4`,
    ],
    [
      bound(['mask', [0, 1]]),
      `model 'pose': shapes.mask[0]: expected a positive integer of at most 2^53 - 1, received 0`,
    ],
    [bound(['any', [-1]]), `model 'pose': shapes.any[0]: expected a positive integer of at most 2^53 - 1, received -1`],
    [
      bound(['any', [1.5]]),
      `model 'pose': shapes.any[0]: expected a positive integer of at most 2^53 - 1, received 1.5`,
    ],
    [
      bound(['any', [2 ** 62]]),
      `model 'pose': shapes.any[0]: expected a positive integer of at most 2^53 - 1, received 4611686018427388000`,
    ],
    [
      bound(['image', [2, 3, 1, 1]], ['mask', [3, 1]]),
      `model 'pose': shapes.mask[0]: expected 2, because 'batch' is the same dim as shapes.image[0], received 3`,
    ],
    [
      bound(['__proto__', [4, 5]]),
      `model 'pose': shapes.__proto__[1]: expected 4, because 'n' is the same dim as shapes.__proto__[0], received 5`,
    ],
  ])('the fixed shapes %j do not fit the model', (shapes, message) => {
    expect(() => checkShapes({ shapes, profiles: [] }, bindings, 'pose')).toThrow(
      expect.objectContaining({ code: 'SHAPE_INVALID', message }),
    )
  })

  it.each([
    [
      [1, 1],
      [9, 1],
      [8, 1],
      `profiles[0].opt.mask: expected min <= opt <= max for each dim, received min [1, 1], opt [9, 1], max [8, 1]`,
    ],
    [
      [2, 1],
      [1, 1],
      [8, 1],
      `profiles[0].opt.mask: expected min <= opt <= max for each dim, received min [2, 1], opt [1, 1], max [8, 1]`,
    ],
    [[1, 1], [4, 1], [8, 2], `profiles[0].max.mask[1]: expected 1, which is static in the model, received 2`],
    [[1], [4, 1], [8, 1], `profiles[0].min.mask: expected rank 2, as the model has [batch, 1], received rank 1, [1]`],
    [
      [1, 1],
      undefined,
      [8, 1],
      `profiles[0]: expected the input 'mask' in min, opt and max, received it in min and max only`,
    ],
  ])('a profile from %j over %j to %j does not fit the model', (min, opt, max, message) => {
    const [low, best, high] = [min, opt, max].map((dims) => (dims ? bound(['mask', dims]) : {}))
    expect(() =>
      checkShapes({ shapes: {}, profiles: [{ min: low!, opt: best!, max: high! }] }, bindings, 'pose'),
    ).toThrow(expect.objectContaining({ code: 'SHAPE_INVALID', message: `model 'pose': ${message}` }))
  })

  it('one named dim has the same size in fixed inputs and profiles', () => {
    const profile = { min: bound(['mask', [1, 1]]), opt: bound(['mask', [2, 1]]), max: bound(['mask', [4, 1]]) }
    expect(() =>
      checkShapes({ shapes: bound(['image', [2, 3, 8, 8]]), profiles: [profile] }, bindings, 'pose'),
    ).toThrow(
      `model 'pose': profiles[0].min.mask[0]: expected 2, because 'batch' is the same dim as ` +
        'shapes.image[0], received 1',
    )
  })

  it('an input of unknown rank has one rank in a profile', () => {
    const profile = { min: bound(['any', [1]]), opt: bound(['any', [1, 1]]), max: bound(['any', [1]]) }
    expect(() => checkShapes({ shapes: {}, profiles: [profile] }, bindings, 'pose')).toThrow('min <= opt <= max')
  })
})

describe('calibration', () => {
  it.each<[unknown, string]>([
    ['', `option 'calibration': expected a glob, the path of a module, or an object, received ''`],
    [{}, `option 'calibration': expected samples or images, and not both`],
    [{ images: 'i/*' }, `option 'calibration': expected preprocess with images, and only with them`],
    [{ images: 'i/*', preprocess: { layout: 'nchw' } }, `option 'calibration.preprocess.scale': expected`],
    [{ samples: 'a.mjs', methd: 'minmax' }, `option 'calibration.methd': expected one of`],
    [{ samples: 'a.mjs', limit: 0 }, `option 'calibration.limit': expected a whole number from 1, received 0`],
    [
      { samples: 'a.mjs', percentile: 20 },
      `option 'calibration.percentile': expected more than 50 and at most 100, received 20`,
    ],
  ])('the option %j is refused', (calibration, message) => {
    expect(() => resolveOptions({ calibration })).toThrow(message)
  })
})
