import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cac, type CAC } from 'cac'
import { describe, expect, test } from 'vitest'
import { commandOptions, modelCommandOptions, requestOf } from '../../plugin/cli/arguments.ts'
import { hintFor, optionText, refuseUnknownOptions } from '../../plugin/cli/usage.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { tempFolder } from '../support/helpers.ts'

/** A parser with one command that has every kind of option, after it has read these arguments. */
function parsed(...args: readonly string[]): CAC {
  const cli = cac('test')
  const command = cli.command('build <model>').option('--shapes <shapes>', '').option('--engine <precision>', '')
  command
    .option('--cache-dir <dir>', '')
    .option('--root <dir>', '')
    .option('--json', '')
    .action(() => {})
  cli.help().parse(['node', 'test', 'build', 'a.onnx', ...args], { run: false })
  return cli
}

describe('the text of an option', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['that is absent is undefined', [], undefined],
    ['after a space is its value', ['--root', 'app'], 'app'],
    ['after an equals sign is its value', ['--root=app'], 'app'],
    ['with an equals sign in it is whole', ['--root=a=b'], 'a=b'],
    ['that looks like a number stays text', ['--root', '007'], '007'],
    ['that is empty is empty', ['--root='], ''],
    ['of an option whose name starts the same is ignored', ['--root-dir', 'other'], undefined],
  ])('%s', (_, args, value) => {
    expect(optionText(parsed(...args), 'root')).toBe(value)
  })

  test('that is given twice is refused', () => {
    expect(() => optionText(parsed('--root', 'a', '--root=b'), 'root')).toThrow('--root is given twice. Give it once')
  })
})

describe('the options of a command', () => {
  const root = tempFolder()
  const cli = parsed('--root', root, '--cache-dir', '007')

  test('--root and --cache-dir are options', () => {
    expect(commandOptions(cli)).toEqual({ root, cache: { dir: '007' } })
  })

  test('flags win over the file of the app, also over what it says of the model', () => {
    const models = { '**': { engine: 'int8', targets: ['sm86'] } }
    const config = { engine: 'bf16', verbose: true, cache: { dir: 'x', maxSize: 5 }, models }
    writeFileSync(join(root, 'unplugin-onnx.config.json'), JSON.stringify(config))
    expect(commandOptions(cli)).toEqual({ ...config, root, cache: { dir: '007', maxSize: 5 } })
    const model = join(root, 'a [b](c)!.onnx')
    const options = resolveOptions(modelCommandOptions(cli, model, { engine: 'fp16', shapes: undefined }))
    expect(options.engine).toBe('fp16')
    expect(compileOptions(options, { file: model, query: {} })).toMatchObject({ engine: 'fp16', targets: ['sm86'] })
    expect(compileOptions(options, { file: join(root, 'a b.onnx'), query: {} })).toMatchObject({ engine: 'int8' })
  })

  test('a mistake in the file of the app names the file', () => {
    writeFileSync(join(root, 'unplugin-onnx.config.json'), JSON.stringify({ engin: 'fp16' }))
    expect(() => commandOptions(cli)).toThrow(/^unplugin-onnx\.config\.json: option 'engin': .* Did you mean 'engine'/)
  })
})

describe('the request of a command', () => {
  test.each<[string, string, readonly string[], object]>([
    ['without options has only the file', 'models/a.onnx', [], { file: 'a.onnx', query: {} }],
    ['has the wishes of an import', 'a.onnx', ['--engine', 'fp16'], { file: 'a.onnx', query: { engine: 'fp16' } }],
    ['has the shapes of an import', 'a.onnx', ['--shapes', 'x:1x2'], { query: { shapes: { x: [1, 2] } } }],
    [
      "keeps '&' inside a value",
      'a.onnx',
      ['--shapes', 'x&engine=int8:1'],
      { query: { shapes: { 'x&engine=int8': [1] } } },
    ],
    ["keeps '?' in the name of a file", 'a?b.onnx', [], { file: 'a%3Fb.onnx', query: {} }],
    ['ignores options that are not in a query', 'a.onnx', ['--root', 'app'], { query: {} }],
  ])('%s', (_, file, args, request) => {
    expect(requestOf(parsed(...args), file, ['engine', 'shapes'])).toMatchObject(request)
  })

  test('is refused for a file that is not a model', () => {
    expect(() => requestOf(parsed(), 'notes.txt', [])).toThrow(`'notes.txt' is not an .onnx file`)
  })
})

describe('an option', () => {
  test('of the command is accepted', () => {
    expect(() => refuseUnknownOptions(parsed('--json', '--root', 'app'))).not.toThrow()
  })

  test('that the command lacks is refused with the nearest name', () => {
    expect(() => refuseUnknownOptions(parsed('--shaeps', 'x:1'))).toThrow(
      `'--shaeps' is not an option of 'build'. Did you mean '--shapes'?`,
    )
  })
})

test.each([
  ['inspec', ['inspect', 'build'], '', `Did you mean 'inspect'?`],
  ['jsn', ['json'], '--', `Did you mean '--json'?`],
  ['frobnicate', ['inspect', 'build'], '', `Run 'unplugin-onnx --help' for a list`],
])('the hint for the name %s among %j', (name, names, prefix, hint) => {
  expect(hintFor(name, names, prefix)).toBe(hint)
})
