import { join } from 'node:path'
import { pythonWith, repository } from '../support/python.ts'
import { runProgram } from './measure.ts'

const folder = join(repository, 'test', 'bench')

/** A Python interpreter with the packages of a file of this folder, in a virtual environment that is made once. */
export function benchPython(requirements = 'requirements.txt'): Promise<string> {
  return pythonWith(join(folder, requirements))
}

/** The files of the classification nets in the ONNX package, sorted by name. Nodes compute their weights. */
export async function lightNets(): Promise<readonly string[]> {
  const script = `
import glob, os, onnx
pattern = os.path.join(os.path.dirname(onnx.__file__), 'backend/test/data/light/*.onnx')
print('\\n'.join(sorted(glob.glob(pattern))))
`
  return (await runProgram(await benchPython(), ['-c', script])).output.trim().split('\n')
}

/** Runs a Python script of this folder. Returns the JSON that it printed, and the milliseconds from spawn to exit. */
export async function runPython<T>(
  script: string,
  args: readonly string[],
  requirements?: string,
): Promise<{ result: T; milliseconds: number }> {
  const { output, milliseconds } = await runProgram(await benchPython(requirements), [
    '-W',
    'ignore',
    join(folder, script),
    ...args,
  ])
  return { result: JSON.parse(output) as T, milliseconds }
}
