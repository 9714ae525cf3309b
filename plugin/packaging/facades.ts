import { posix } from 'node:path'
import type { OutputChunk, Plugin } from 'rolldown'

/** A chunk that only gives names to exports of another one. */
interface Facade {
  /** The file with what it exports. */
  readonly from: string
  /** What it exports, by the names there. */
  readonly names: Readonly<Record<string, string>>
}

/**
 * Removes the files that the bundler writes for `import()` of a module that is in a chunk with others: code imports the
 * chunk itself. It is one file less to install, and one less to load.
 */
export const withoutFacades: Plugin = {
  name: 'without-facades',
  generateBundle(_, files) {
    const chunks = Object.values(files).filter((file) => file.type === 'chunk')
    const facades = new Map(chunks.flatMap((chunk) => facadeOf(chunk) ?? []))
    for (const name of facades.keys()) delete files[name]
    for (const chunk of chunks.filter(({ fileName }) => !facades.has(fileName)))
      chunk.code = chunk.code.replaceAll(lateImport, (text, path: string) => {
        const facade = facades.get(posix.join(posix.dirname(chunk.fileName), path))
        return facade === undefined ? text : importOf(facade, chunk.fileName)
      })
  },
}

const lateImport = /\bimport\("(\.[^"]+)"\)/g
const facadeCode = /^import \{([^}]*)\} from "([^"]+)";\s*export \{([^}]*)\};?\s*$/

function facadeOf({ code, fileName, isEntry }: OutputChunk): readonly [readonly [string, Facade]] | undefined {
  const [, imports, path, exports] = facadeCode.exec(code) ?? []
  if (isEntry || imports === undefined || path === undefined || exports === undefined) return undefined
  const locals = new Map(pairs(imports).map(([theirs, ours]) => [ours, theirs]))
  const names = pairs(exports).map(([local, exported]) => [exported, locals.get(local) ?? local] as const)
  return [[fileName, { from: posix.join(posix.dirname(fileName), path), names: Object.fromEntries(names) }]]
}

/** The names of `a as b, c`: before and after. */
function pairs(list: string): readonly (readonly [string, string])[] {
  return list.split(',').map((item) => {
    const [before = '', after = before] = item.trim().split(' as ')
    return [before, after] as const
  })
}

function importOf({ from, names }: Facade, importer: string): string {
  const path = posix.relative(posix.dirname(importer), from)
  const fields = Object.entries(names).map(([name, theirs]) => `${name}: chunk.${theirs}`)
  return `import("${path.startsWith('.') ? path : `./${path}`}").then((chunk) => ({ ${fields.join(', ')} }))`
}
