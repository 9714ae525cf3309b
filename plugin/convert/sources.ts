import { statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { glob } from 'tinyglobby'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Facts } from '../cache/key.ts'
import type { StatIndex } from '../cache/stat-index.ts'
import { hashFile } from '../files/hash.ts'
import type { ConvertStep } from '../options/convert-schema.ts'
import { runProgram } from './run-program.ts'

interface Source {
  /** The imported file or folder, absolute. */
  readonly file: string
  readonly rule: ConvertStep
  readonly root: string
  readonly statIndex: StatIndex
}

/** What a conversion depends on: facts of its key, and the files to watch. */
export interface Dependencies {
  readonly facts: Facts
  readonly files: readonly string[]
}

/**
 * Facts of a conversion: the bytes of the imported file or folder, the command, the bytes of the files that it names
 * and of the rule's `inputs`, the version that the program prints, and the new names. Throws CONVERT_FAILED when an
 * input matches nothing or the program does not print its version.
 */
export async function conversionFacts({ file, rule, root, statIndex }: Source): Promise<Dependencies> {
  const sources = await filesOf(file)
  const inputs = await inputsOf(file, rule, root)
  const digest = async (path: string) =>
    (await statIndex.remember(path, 'converted', async () => ({ sha256: await hashFile(path) })))['sha256'] ?? ''
  const listed = async (paths: readonly string[], from: string) =>
    Promise.all(paths.map(async (path) => `${slashes(relative(from, path))}=${await digest(path)}`))
  return {
    facts: {
      converted: await listed(sources, file),
      command: rule.command,
      inputs: await listed(inputs, root),
      program: await versionOf(rule, root, file),
      names: JSON.stringify([rule.rename, rule.dims]),
    },
    files: [...new Set([...sources, ...inputs])],
  }
}

async function filesOf(file: string): Promise<readonly string[]> {
  if (!statSync(file).isDirectory()) return [file]
  return (await glob('**/*', { cwd: file, absolute: true, dot: true })).sort()
}

// A script in the command is as much a part of the result as the file itself.
async function inputsOf(file: string, { command, inputs }: ConvertStep, root: string): Promise<readonly string[]> {
  const named = command.map((part) => resolve(root, part)).filter(isFile)
  const matched = await Promise.all(
    inputs.map(async (pattern) => {
      const found = await glob(pattern, { cwd: root, absolute: true, dot: true })
      if (found.length > 0) return found
      throw new OnnxEngineError('CONVERT_FAILED', `${file}: option 'convert': inputs`, {
        expected: `files that match '${pattern}' in ${root}`,
        received: 'none',
      })
    }),
  )
  return [...new Set([...named, ...matched.flat().map((path) => join(path))])].sort()
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function slashes(path: string): string {
  return path.replaceAll('\\', '/')
}

// Asked once in each process: a program that prints its version may take as long as a program that converts.
const versions = new Map<string, Promise<string>>()

async function versionOf({ version, timeout }: ConvertStep, root: string, file: string): Promise<string> {
  if (version.length === 0) return ''
  const id = JSON.stringify([root, version])
  const asked = versions.get(id) ?? askVersion({ command: version, folder: root, timeout }, file)
  versions.set(id, asked)
  // Asked again after a failure: the user may have installed the program meanwhile.
  asked.catch(() => versions.delete(id))
  return asked
}

async function askVersion(program: Parameters<typeof runProgram>[0], file: string): Promise<string> {
  const { failure, output } = await runProgram(program)
  if (failure === undefined) return output
  throw new OnnxEngineError('CONVERT_FAILED', `${file}: option 'convert': version: ${program.command.join(' ')}`, {
    expected: 'a program that prints its version',
    received: failure,
    hint: 'Install the program, or leave the version out and list a lockfile in inputs',
  })
}
