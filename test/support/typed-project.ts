import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onnxModel, type ModelSpec } from './models.ts'

/** The compilers that users have. Called by path, because aliases share one name in node_modules/.bin. */
export const compilers = { '5.9': 'ts59', '6.0': 'ts60', '7.0': 'typescript' } as const
export type Compiler = keyof typeof compilers

export const resolutions = {
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
} as const
export type Resolution = keyof typeof resolutions

/**
 * The compiler options that docs/types.md asks for, and the strictest surroundings: no DOM, no @types/node, libraries
 * checked.
 */
export const strictest = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  lib: ['es2022'],
  types: [],
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  allowArbitraryExtensions: true,
  rootDirs: ['.', './.unplugin-onnx/types'],
} as const

/** The folder of this package. */
export const packageRoot: string = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Writes files below `root`; an object that is not text is written as a model when its name ends in '.onnx', else as
 * JSON.
 */
export function writeProject(root: string, files: Readonly<Record<string, string | object>>): void {
  for (const [name, content] of Object.entries(files)) {
    const file = join(root, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytesOf(name, content))
  }
}

function bytesOf(name: string, content: string | object): string | Uint8Array {
  if (typeof content === 'string') return content
  if (!name.endsWith('.onnx')) return JSON.stringify(content)
  return passThrough(content as Pick<ModelSpec, 'inputs' | 'outputs'>)
}

/** Makes the built package importable by name, as an installation would. */
export function linkPackage(root: string): void {
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  symlinkSync(packageRoot, join(root, 'node_modules/unplugin-onnx'), 'junction')
}

/**
 * What the compiler prints for a project, one message per item with its continuation lines; none when it is content.
 * With the mode '--build' it builds the projects that the config refers to first.
 */
export function compile(
  root: string,
  compiler: Compiler,
  config: string,
  mode: '--project' | '--build' = '--project',
): Promise<readonly string[]> {
  const tsc = join(packageRoot, 'node_modules', compilers[compiler], 'bin/tsc')
  return new Promise((done, fail) => {
    execFile(process.execPath, [tsc, mode, config, '--pretty', 'false'], { cwd: root }, (error, stdout, stderr) => {
      if (stderr !== '') fail(new Error(stderr, { cause: error }))
      else done(stdout.split(/\r?\n(?! )/).filter(Boolean))
    })
  })
}

function passThrough({ inputs = {}, outputs }: Pick<ModelSpec, 'inputs' | 'outputs'>): Uint8Array {
  const [from = ''] = Object.keys(inputs)
  return onnxModel({
    inputs,
    outputs,
    nodes: Object.keys(outputs).map((to) => ({ op: 'Identity', inputs: [from], outputs: [to] })),
  })
}
