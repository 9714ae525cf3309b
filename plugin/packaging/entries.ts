import { readdirSync, readFileSync } from 'node:fs'
import { existsSync } from 'node:fs'
import { dirname, extname, join, relative, sep } from 'node:path'

/** What package.json names: its exports and commands, by their files in `dist`. */
export interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly bin?: Readonly<Record<string, string>>
}

/** A file of `dist` that code opens by its place: a child process, a worker, a loader of a bundler. */
export const openedByPlace: RegExp = /new URL\(\s*['"](\.[^'"]+)['"],\s*import\.meta\.url\s*\)/g

const script = /\.[cm]?js$/

/** The scripts of `dist` that are imported by a name: every target of `exports` and `bin`. */
export function publicEntries({ exports, bin = {} }: Manifest): readonly string[] {
  const targets = Object.values({ ...exports, ...bin }).flatMap((target) =>
    typeof target === 'string' ? target : Object.values(target),
  )
  return [...new Set(targets)].filter((file) => script.test(file)).map((file) => file.replace('./dist/', ''))
}

/**
 * The files of `dist` that scripts below these folders open by their place, `new URL('./x.js', import.meta.url)`. They
 * keep their place in the package, so that a new child process or worker needs no line here. Throws for a file that
 * does not exist.
 */
export function openedFiles(dist: string, folders: readonly string[]): readonly string[] {
  const found = new Set<string>()
  for (const file of folders.flatMap((folder) => scriptsBelow(join(dist, folder)))) {
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(openedByPlace)) {
      // Without an extension it is a word of a comment.
      if (extname(specifier) === '') continue
      const opened = join(dirname(file), specifier)
      if (!existsSync(opened)) throw new Error(`${file} opens ${specifier}, which does not exist`)
      const place = placeOf(dist, opened)
      if (!place.startsWith('..')) found.add(place)
    }
  }
  return [...found]
}

function scriptsBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => script.test(name) && !/^packaging[\\/]/.test(name))
    .map((name) => join(folder, name))
}

/** The place of a file in `dist`, with slashes. */
export function placeOf(dist: string, file: string): string {
  return relative(dist, file).split(sep).join('/')
}

export function isScript(file: string): boolean {
  return script.test(file)
}
