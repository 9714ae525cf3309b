import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configNames, findConfig, readConfig } from '../../plugin/options/config-file.ts'
import { appOptions } from '../../plugin/options/resolve.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { tempFolder } from '../support/helpers.ts'

/** A folder with these files; an object is written as JSON. */
function folderWith(files: Readonly<Record<string, string | object>>): string {
  const folder = tempFolder()
  for (const [name, content] of Object.entries({ 'package.json': { type: 'module' }, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

function refusalOf(files: Readonly<Record<string, string | object>>): OnnxEngineError {
  try {
    readConfig(folderWith(files))
  } catch (error) {
    if (error instanceof OnnxEngineError) return error
    throw error
  }
  throw new Error('the file was accepted')
}

const typed = `
import type { Options } from 'unplugin-onnx'
import { engine } from './engine'
enum Unused { a }
export default { engine, verbose: Unused.a === 0 } satisfies Options
`

describe('the configuration of an app', () => {
  test.each([
    ['unplugin-onnx.config.ts', typed],
    ['unplugin-onnx.config.mts', typed],
    ['unplugin-onnx.config.mjs', `export default { engine: 'fp16', verbose: true }`],
    ['unplugin-onnx.config.js', `export default { engine: 'fp16', verbose: true }`],
    ['unplugin-onnx.config.json', `{ "engine": "fp16", "verbose": true }`],
  ])('%s is read, and its folder is the root', (name, text) => {
    const folder = folderWith({ [name]: text, 'engine.ts': `export const engine = 'fp16' as const` })
    const { options, config } = appOptions(undefined, folder)
    expect(options).toMatchObject({ engine: 'fp16', verbose: true, root: folder })
    expect(config?.file).toBe(join(folder, name))
    expect(configNames).toContain(name)
  })

  test('CommonJS exports the options themselves', () => {
    const folder = folderWith({
      'package.json': {},
      'unplugin-onnx.config.js': `module.exports = { engine: 'fp16', root: '..' }`,
    })
    expect(appOptions(undefined, folder).options).toMatchObject({ engine: 'fp16', root: dirname(folder) })
  })

  test('options that are given replace the file, also when they are empty', () => {
    const folder = folderWith({ 'unplugin-onnx.config.json': { engine: 'fp16', verbose: true } })
    expect(appOptions({ verbose: false }, folder)).toMatchObject({ options: { engine: 'fp32', verbose: false } })
    expect(appOptions({}, folder)).toMatchObject({ options: { engine: 'fp32' }, config: undefined })
  })

  test('the file is searched up to the folder of the next package.json', () => {
    const folder = folderWith({
      'unplugin-onnx.config.json': {},
      'src/deep/main.js': '',
      'packages/app/package.json': {},
    })
    expect(findConfig(join(folder, 'src/deep'))).toBe(join(folder, 'unplugin-onnx.config.json'))
    expect(findConfig(join(folder, 'packages/app'))).toBeUndefined()
  })

  test.each(['unplugin-onnx.config.mjs', 'unplugin-onnx.config.ts', 'unplugin-onnx.config.json'])(
    '%s is read again when it has changed, and only then',
    (name) => {
      const write = (engine: string) =>
        name.endsWith('.json') ? `{"engine":"${engine}"}` : `export default {engine:'${engine}'}`
      const folder = folderWith({ [name]: write('fp16') })
      const first = readConfig(folder)
      expect(first?.options.engine).toBe('fp16')
      expect(readConfig(folder)).toBe(first)
      // As editors save: a file of another inode.
      writeFileSync(join(folder, 'new'), write('int8'))
      renameSync(join(folder, 'new'), join(folder, name))
      expect(readConfig(folder)?.options.engine).toBe('int8')
      rmSync(join(folder, name))
      expect(readConfig(folder)).toBeUndefined()
    },
  )
})

describe('a configuration that cannot be used is OPTION_INVALID', () => {
  const js = 'unplugin-onnx.config.mjs'
  test.each<[string, Readonly<Record<string, string | object>>, RegExp]>([
    ['two files', { [js]: '', 'unplugin-onnx.config.ts': '' }, /expected one file, received .*config\.ts and .*mjs/],
    ['no default export', { [js]: 'export const a = 1' }, /expected an object as its default export, received nothing/],
    ['a function', { [js]: 'export default () => {}' }, /received a function/],
    ['a promise', { [js]: 'export default Promise.resolve({})' }, /received a promise/],
    ['text that is no JSON', { 'unplugin-onnx.config.json': '{' }, /config\.json: expected a file that can be read/],
    ['a list', { 'unplugin-onnx.config.json': [] }, /received an array/],
    ['an error of its own', { [js]: `throw new Error('no GPU here')` }, /received no GPU here/],
    ['await', { [js]: 'export default await {}' }, /expected a module without await at its top level/],
    ['syntax that is wrong', { 'unplugin-onnx.config.ts': 'export default {' }, /config\.ts: expected a file that can/],
  ])('%s', (_, files, message) => {
    const error = refusalOf(files)
    expect(error.code).toBe('OPTION_INVALID')
    expect(error.message).toMatch(message)
  })
})
