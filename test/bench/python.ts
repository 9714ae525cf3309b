import { join } from 'node:path'
import { pythonWith, repository } from '../python.ts'
import { runProgram } from './measure.ts'

/**
 * Runs a Python script of this folder, with the packages of requirements.txt in an environment of their own, which is made once. Gives what
 * the script printed as JSON, and its milliseconds from spawn to exit.
 */
export async function runPython<T>(script: string, args: readonly string[]): Promise<{ result: T; milliseconds: number }> {
  const folder = join(repository, 'test', 'bench')
  const python = await pythonWith(join(folder, 'requirements.txt'))
  const { output, milliseconds } = await runProgram(python, [join(folder, script), ...args])
  return { result: JSON.parse(output) as T, milliseconds }
}
