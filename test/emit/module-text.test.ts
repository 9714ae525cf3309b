import { describe, expect, test } from 'vitest'
import type { Compiled, Variant } from '../../plugin/compile/variant.ts'
import { locate, relativeUrl } from '../../plugin/emit/location.ts'
import { moduleText } from '../../plugin/emit/module.ts'
import type { ModelManifest } from '../../runtime/manifest.ts'

const variant = {
  backend: 'onnxruntime',
  engine: 'fp32',
  artifact: { size: 3, sha256: 'ab' },
  requires: {},
  verified: true,
} as unknown as Variant

const compiled: Compiled = {
  name: 'pose',
  bindings: { inputs: [{ name: 'x', dtype: 'float32', dims: ['batch', 3, null] }], outputs: [] },
  variants: [variant, variant],
  files: [],
}

test('the module of a page has the files of the library besides, and imports the runtime of pages', () => {
  const asset = { name: 'x', source: '/x', size: 7, sha256: 'cd' }
  const files = { worker: asset, library: asset, loader: asset, wasm: asset }
  const [engine, worker, code, loader, wasm] = ['a', 'w', 'l', 'm', 'x'].map((name) => ({ location: `url("${name}")` }))
  const places = { worker: worker!, library: code!, loader: loader!, wasm: wasm! }
  const library = { files, facts: { version: '1.30.0', threads: 2 } }
  const text = moduleText({ ...compiled, variants: [variant] }, [engine!], { web: { places, library } })
  expect(text).toContain(`import { createModel } from 'unplugin-onnx/web'`)
  expect(text.slice(text.indexOf('}, {'))).toMatchInlineSnapshot(`
    "}, {
      "worker": { "file": url("w"), "size":7,"sha256":"cd"},
      "library": { "file": url("l"), "size":7,"sha256":"cd"},
      "loader": { "file": url("m"), "size":7,"sha256":"cd"},
      "wasm": { "file": url("x"), "size":7,"sha256":"cd"},
      ...{"version":"1.30.0","threads":2},
    })
    "
  `)
})

test('the module of a model has its manifest, a location per variant, and one call into the runtime', () => {
  const prelude = 'const base = import.meta.url'
  const engines = ['a', 'b'].map((name) => ({ location: `new URL("./${name}", base)`, prelude }))
  expect(moduleText(compiled, engines)).toMatchInlineSnapshot(`
    "import { createModel } from 'unplugin-onnx/runtime'
    const base = import.meta.url

    export default /* #__PURE__ */ createModel({
      "schema": 1,
      "name": "pose",
      "bindings": {"inputs":[{"name":"x","dtype":"float32","dims":["batch",3,null]}],"outputs":[]},
      "variants": [
        { "file": new URL("./a", base), "backend":"onnxruntime","engine":"fp32","size":3,"sha256":"ab","requires":{}},
        { "file": new URL("./b", base), "backend":"onnxruntime","engine":"fp32","size":3,"sha256":"ab","requires":{}},
      ],
    })
    "
  `)
})

describe('the module of a model keeps the name', () => {
  test.each([
    ['of a prototype', '__proto__'],
    ['with quotes', `a"b'c\`d`],
    ['with an expression of a template', '${process.exit()}'],
    ['with a backslash at its end', 'a\\'],
    ['with line breaks', 'a\nb\r\u2028\u2029c'],
    ['with the end of a comment', '*/ evil() /*'],
    ['with the end of a script', '</script>'],
    ['with half of a character', '\uD800'],
    ['with no text', ''],
  ])('%s', (_, name) => {
    const binding = { name, dtype: 'float32', dims: [name] } as const
    const hostile = { ...compiled, name, bindings: { inputs: [binding], outputs: [binding] } }
    const manifest = evaluate(moduleText(hostile, [{ location: '"a"' }, { location: '"b"' }]))
    expect(manifest).toEqual({
      schema: 1,
      name,
      bindings: hostile.bindings,
      variants: ['a', 'b'].map((file) => expect.objectContaining({ file, backend: 'onnxruntime', sha256: 'ab' })),
    })
  })
})

test('the module of a model keeps "__proto__" as a key of what an engine requires', () => {
  const properties = JSON.parse('{ "__proto__": "x" }') as Record<string, string>
  const openvino = {
    ...variant,
    backend: 'openvino' as const,
    requires: { version: '2026.4', device: 'CPU', arch: 'x64', runtimeRequirements: '', properties },
  }
  const { variants } = evaluate(moduleText({ ...compiled, variants: [openvino] }, [{ location: '"a"' }]))
  const [{ requires } = { requires: {} }] = variants
  expect(Object.entries((requires as { properties: object }).properties)).toEqual([['__proto__', 'x']])
})

describe('the location of an engine', () => {
  test.each([
    ['es', `new URL("./a.onnx", import.meta.url)`],
    ['cjs', `require("node:url").pathToFileURL(require("node:path").join(__dirname, "./a.onnx"))`],
  ])('in the format %s is %s', (format, code) => {
    expect(locate(format, '"./a.onnx"')).toBe(code)
  })

  test.each(['iife', 'umd', 'system'])('is refused in the format %s', (format) => {
    expect(() => locate(format, '"./a.onnx"')).toThrow(
      `output format: expected an ES module or CommonJS, received '${format}'`,
    )
  })

  test.each(['iife', 'umd'])('in a page, in the format %s, is relative to the script', (format) => {
    const code = locate(format, '"./a.ort"', 'browser')
    const evaluateIn = (globals: Record<string, unknown>): URL =>
      // oxlint-disable-next-line no-new-func
      new Function(...Object.keys(globals), `return ${code}`)(...Object.values(globals)) as URL
    const currentScript = { src: 'https://cdn/x/main.js' }
    const baseURI = 'https://host/page/'
    expect(evaluateIn({ document: { currentScript, baseURI }, location: {} }).href).toBe('https://cdn/x/a.ort')
    expect(evaluateIn({ document: { currentScript: null, baseURI }, location: {} }).href).toBe(
      'https://host/page/a.ort',
    )
    expect(evaluateIn({ document: undefined, location: { href: 'https://host/w.js' } }).href).toBe('https://host/a.ort')
  })

  test('is refused in the format cjs of a page', () => {
    expect(() => locate('cjs', '"./a.ort"', 'browser')).toThrow(/expected an ES module, or a script/)
  })

  test.each([
    ['a.onnx', './a.onnx'],
    ['../a.onnx', '../a.onnx'],
    ['models/a.onnx', './models/a.onnx'],
    ['my models/a#b?.onnx', './my%20models/a%23b%3F.onnx'],
    ['münchen/a.onnx', './m%C3%BCnchen/a.onnx'],
  ])('%s has the relative URL %s', (path, url) => {
    expect(relativeUrl(path)).toBe(url)
  })
})

/** The argument of `createModel` in a module without other imports. */
function evaluate(text: string): ModelManifest {
  const body = text.replace(/^import .*\n/, '').replace('export default', 'return')
  // oxlint-disable-next-line no-new-func
  return new Function('createModel', body)((manifest: ModelManifest) => manifest) as ModelManifest
}
