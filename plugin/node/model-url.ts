import { fileURLToPath, pathToFileURL } from 'node:url'
import { resolveModelInNode } from '../imports/resolve.ts'
import { modelId, parseRequest } from '../options/query.ts'
import { filterFor } from './model-specifier.ts'

/** An import of a model in plain Node.js. */
export interface NodeImport {
  /** Names the model and its query, the same for every spelling. */
  readonly id: string
  /** The text of the import, or a path if Node.js itself does not know the text. */
  readonly specifier: string
  /** Path of the importing file; undefined for an entry, and for code that is no file. */
  readonly importer: string | undefined
}

/** URLs of models. A scheme of our own: for `file:`, `require()` drops the query. */
const scheme = 'unplugin-onnx:'

// By URL, which has no place for the importer.
const imports = new Map<string, NodeImport>()

/**
 * The URL of an imported model; undefined for other imports. `resolveOtherwise` is the next resolver, which may know
 * aliases. Throws MODEL_NOT_FOUND and QUERY_INVALID.
 */
export function modelUrl(
  specifier: string,
  parent: string | undefined,
  resolveOtherwise: (specifier: string) => string | undefined,
): string | undefined {
  const filter = filterFor(specifier)
  const request = filter && parseRequest(specifier, filter)
  if (request === undefined) return undefined
  const importer = parent?.startsWith('file:') ? fileURLToPath(parent) : undefined
  const known = resolveOrUndefined(request.file, resolveOtherwise, importer)
  const file = known.file
  const { text } = modelId({ ...request, file })
  const query = text.slice(file.length)
  const url = new URL(scheme + pathToFileURL(file).href.slice('file:'.length) + query).href
  imports.set(url, { id: text, specifier: known.isAlias ? text : specifier, importer })
  return url
}

/** The import that a URL stands for; undefined for URLs that `modelUrl` did not make. */
export function importOf(url: string): NodeImport | undefined {
  if (!url.startsWith(scheme)) return undefined
  const known = imports.get(url)
  if (known !== undefined) return known
  // Resolved by another copy of this module: tsx gives its own to the hooks that it loads. The importer is not known.
  const [path = '', query = ''] = url.slice(scheme.length).split('?', 2)
  const file = fileURLToPath(`file:${path}`)
  const request = parseRequest(`${file}?${query}`, filterFor(file))
  if (request === undefined) return undefined
  const { text } = modelId({ ...request, file })
  return { id: text, specifier: text, importer: undefined }
}

interface Resolved {
  readonly file: string
  readonly isAlias: boolean
}

function resolveOrUndefined(
  name: string,
  resolveOtherwise: (specifier: string) => string | undefined,
  importer: string | undefined,
): Resolved {
  try {
    return { file: resolveModelInNode(name, { importer, root: process.cwd() }), isAlias: false }
  } catch (error) {
    const url = resolveOtherwise(name)
    if (!url?.startsWith('file:')) throw error
    return { file: fileURLToPath(url), isAlias: true }
  }
}
