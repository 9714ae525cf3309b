import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { openProject } from '../../plugin/project/project.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { tempFolder } from '../support/helpers.ts'

const root = realpathSync(tempFolder())
const importer = join(root, 'src', 'main.js')
const model = join(root, 'src', 'pose.onnx').replaceAll('\\', '/')
const resolve = (specifier: string, from: string | undefined = importer) =>
  openProject({ root, types: false }).resolve(specifier, from, undefined)

beforeAll(() => {
  mkdirSync(join(root, 'src'))
  writeFileSync(model, '')
})

describe('the id of an import', () => {
  test.each([
    ['without a query never is the bare path', './pose.onnx', '?engine'],
    ['with an empty wish is that without a query', './pose.onnx?engine', '?engine'],
    ['has its wishes in one order', './pose.onnx?target=sm89,sm86&engine=fp16', '?engine=fp16&target=sm86,sm89'],
    ['has its inputs in one order', './pose.onnx?shapes=b:1x03,a:2', '?shapes=a:2,b:1x3'],
    ['loses keys that a bundler added', './pose.onnx?t=1&engine=fp16', '?engine=fp16'],
    ['that is resolved already stays the same', `${model}?engine=fp16`, '?engine=fp16'],
    ['as a file URL is a path', `${pathToFileURL(model).href}?engine=fp16`, '?engine=fp16'],
  ])('%s', async (_, specifier, query) => {
    expect(await resolve(specifier)).toBe(model + query)
  })

  test.each(['./pose.onnx?url', './main.js', 'https://example.com/pose.onnx'])('%s is undefined', async (specifier) => {
    expect(await resolve(specifier)).toBeUndefined()
  })

  test.each([
    ['./gone.onnx', /MODEL_NOT_FOUND|a model file/, /in src.main\.js/],
    ['./pose.onnx?engin=fp16', /one of backend, engine/, /imported by src.main\.js/],
  ])('%s is an error that names the importer and has no stack', async (specifier, message, place) => {
    const error = await resolve(specifier).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(OnnxEngineError)
    const { stack, message: text } = error as OnnxEngineError
    expect(text).toMatch(message)
    expect(text).toMatch(place)
    expect(stack).not.toContain('    at ')
  })
})

describe('standalone', () => {
  test('refuses an output that stays in memory', () => {
    const project = openProject({ root, standalone: true })
    expect(() => project.writesTo(undefined)).toThrow(
      `option 'standalone': expected a build that writes its output into a folder, received one ` +
        'that keeps it in memory',
    )
  })

  test.each([
    ['set, with a folder', true, 'dist'],
    ['not set, without a folder', false, undefined],
  ])('accepts an output when it is %s, and copies nothing without models', async (_, standalone, folder) => {
    const project = openProject({ root, standalone })
    project.writesTo(folder && join(root, folder))
    await expect(project.written()).resolves.toBeUndefined()
  })
})

test('a project moves to the root that a bundler announces, unless the user set one', () => {
  const moved = openProject({})
  moved.moveTo(root)
  expect(moved.options.root).toBe(root)
  const fixed = openProject({ root })
  fixed.moveTo('/other')
  expect(fixed.options.root).toBe(root)
})
