import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { acquireLock } from '../../plugin/files/lock.ts'

/** The folder of this package, found by its name: the benchmark is compiled into a folder of its own. */
export const repository: string = dirname(createRequire(import.meta.url).resolve('unplugin-onnx/package.json'))

/** Where tests keep what they install or make and use again. */
export const vendorFolder: string = join(repository, '.vendor')

const run = promisify(execFile)

/**
 * The Python interpreter of a virtual environment that holds exactly the packages of a requirements file with hashes.
 * It is made once and used again. Rejects, saying why, when there is no Python 3.10 or the packages cannot be
 * installed.
 */
export async function pythonWith(requirements: string): Promise<string> {
  const folder = join(vendorFolder, `python-${digestOf([requirements])}`)
  const python = process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python')
  await once(folder, async () => {
    await run(await systemPython(), ['-m', 'venv', '--clear', folder])
    await run(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--only-binary=:all:',
      // The file is complete. Some releases of pip take an extra of a pinned package for a package without a pin.
      '--no-deps',
      '--require-hashes',
      '-r',
      requirements,
    ])
  })
  return python
}

/** The folder of the light_* nets of the ONNX library. */
export async function lightNets(): Promise<string> {
  const python = await pythonWith(join(repository, 'test', 'corpus', 'requirements.txt'))
  const script = `import onnx, os; print(os.path.join(os.path.dirname(onnx.__file__), 'backend/test/data/light'))`
  return (await run(python, ['-c', script])).stdout.trim()
}

/** Makes a folder of `.vendor` once, also when several test files ask for it at the same time. */
export async function once(folder: string, make: () => Promise<unknown>): Promise<void> {
  const mark = `${folder}.done`
  if (existsSync(mark)) return
  mkdirSync(vendorFolder, { recursive: true })
  const lock = await acquireLock(`${folder}.lock`)
  try {
    if (existsSync(mark)) return
    rmSync(folder, { recursive: true, force: true })
    await make()
    mkdirSync(mark)
  } finally {
    await lock.release()
  }
}

/** A short digest of what these files hold. */
export function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 12)
}

/**
 * Gives what `make` gives, or undefined after printing why not: a test that cannot run here is skipped in the open.
 * With CI=true nothing is skipped and the reason is thrown.
 */
export async function orSkip<T>(what: string, make: () => Promise<T>): Promise<T | undefined> {
  if (process.env['CI'] === 'true') return make()
  return make().catch((reason: Error) => {
    console.warn(`skipped: ${what}: ${reason.message}`)
    return undefined
  })
}

/** The command of Python 3.10 or newer; rejects when there is none. */
export async function systemPython(): Promise<string> {
  const check = 'import sys, venv; assert sys.version_info >= (3, 10)'
  for (const name of ['python3', 'python']) {
    if (
      await run(name, ['-c', check]).then(
        () => true,
        () => false,
      )
    )
      return name
  }
  throw new Error('no Python 3.10 or newer was found')
}
