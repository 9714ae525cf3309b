import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { ownFolder } from '../files/find-package.ts'

/** A file of the page. */
export interface PageFile {
  readonly type: string
  readonly bytes: Buffer
}

/**
 * The files of the page by their paths. All are read at once, and requests are looked up here: no path of a request
 * reaches the file system. Throws OUTPUT_FAILED if the package lacks them.
 */
export async function readPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const folder = await pageFolder()
  const names = ['index.html', ...(await readdir(join(folder, 'assets'))).map((name) => `assets/${name}`)]
  const files = names.map(async (name) => {
    const type = types[extname(name)] ?? 'application/octet-stream'
    return [name, { type, bytes: await readFile(join(folder, name)) }] as const
  })
  return new Map(await Promise.all(files))
}

// The same for the compiled code and for the source.
async function pageFolder(): Promise<string> {
  const folder = join(ownFolder, 'dist', 'view')
  const found = await readdir(folder).catch((): string[] => [])
  if (found.includes('index.html')) return folder
  throw new OnnxEngineError('OUTPUT_FAILED', 'the page of `unplugin-onnx view`', {
    expected: `its files in ${folder}`,
    received: 'none',
    hint: 'Install unplugin-onnx again, or run `npm run build` in its repository',
  })
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}
