import { existsSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { createTwoFilesPatch } from 'diff'
import { replaceFile } from '../files/replace-file.ts'

/** A file that would change. */
export interface FileChange {
  /** Absolute path. */
  readonly file: string
  /** '' for a new file. */
  readonly before: string
  readonly after: string
}

/** A change as a unified diff, with paths relative to the root. */
export function changeText({ file, before, after }: FileChange, root: string): string {
  const name = relative(root, file).split(sep).join('/')
  const patch = createTwoFilesPatch(before === '' ? '/dev/null' : name, name, before, after, undefined, undefined, {
    context: 3,
  })
  // Without the line of '=' that separates the patches of a file.
  return patch.slice(patch.indexOf('--- ')).trimEnd()
}

/** Writes the changes. */
export async function applyChanges(changes: readonly FileChange[]): Promise<void> {
  for (const { file, after } of changes) await replaceFile(file, after)
}

/** The line for the generated folder in .gitignore; undefined where it is, or where there is no repository. */
export function gitignoreChange(root: string, typesDir: string): FileChange | undefined {
  const file = join(root, '.gitignore')
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (before === '' && !existsSync(join(root, '.git'))) return undefined
  const folder = relative(root, typesDir).split(sep).join('/')
  const lines = new Set(before.split(/\r?\n/).map((line) => line.trim().replace(/^\//, '').replace(/\/$/, '')))
  if (lines.has(folder)) return undefined
  const separator = before === '' || before.endsWith('\n') ? '' : '\n'
  return { file, before, after: `${before}${separator}${folder}\n` }
}
