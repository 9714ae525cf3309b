import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { importedTexts } from '../imports/model-packages.ts'
import { sourceFile } from '../imports/package-files.ts'
import type { ContestRequest } from './request.ts'

/** The module of `verify.metric`. */
export interface MetricModule {
  /** Absolute path. */
  readonly file: string
  /** As the user wrote it. */
  readonly text: string
  /** SHA-256 of the module and of the files that it imports by a relative path. */
  readonly digest: string
}

/** The metric that the options name; undefined when they name none. Throws OPTION_INVALID without such a file. */
export async function findMetric({
  options,
  root,
}: Pick<ContestRequest, 'options' | 'root'>): Promise<MetricModule | undefined> {
  const { metric: text } = options.verify || {}
  if (text === undefined) return undefined
  const file = resolve(root, text)
  return { file, text, digest: await digestOf(file, root) }
}

async function digestOf(file: string, root: string): Promise<string> {
  const hash = createHash('sha256')
  const files = new Set([file])
  for (const path of files) {
    const source = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new OnnxEngineError('OPTION_INVALID', `option 'verify.metric'`, {
        expected: 'a module that can be read',
        received: `nothing at ${path}`,
        cause,
      })
    })
    hash.update(JSON.stringify([relative(root, path), source]))
    for (const name of importedTexts(source)) {
      const next = name.startsWith('.') ? sourceFile(resolve(dirname(path), name)) : undefined
      if (next !== undefined) files.add(next)
    }
  }
  return hash.digest('hex')
}
