import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { ResolvedOptions } from '../options/schema.ts'
import { type FileChange, gitignoreChange } from './changes.ts'
import { editConfig } from './edit-config.ts'
import { editTsconfig } from './edit-tsconfig.ts'
import { findFramework } from './frameworks.ts'

/** What `init` would do to an app. */
export interface InitPlan {
  /** The framework or bundler that was found. */
  readonly framework?: string
  readonly changes: readonly FileChange[]
  /** What is done already, and what a person must do. */
  readonly notes: readonly string[]
}

/** Finds the bundler of an app, and what its configuration, its tsconfig and its .gitignore lack. */
export async function planInit({ root, types }: Pick<ResolvedOptions, 'root' | 'types'>): Promise<InitPlan> {
  const notes: string[] = []
  const changes: FileChange[] = []
  const framework = findFramework(root)
  if (framework) {
    const before = readFileSync(framework.file, 'utf8')
    const edited = await editConfig(framework.file, before, framework.edit)
    const file = relative(root, framework.file)
    if ('text' in edited) changes.push({ file: framework.file, before, after: edited.text })
    else if ('reason' in edited)
      notes.push(`${file} was left as it is, because ${edited.reason}. ${byHand(framework.edit.entry)}`)
    else notes.push(`${file} has the plugin already`)
  } else notes.push(`no configuration of a bundler was found in ${root}. ${byHand('vite')}`)
  if (types) {
    const tsconfig = await typesPlan(root, types.dir)
    changes.push(...tsconfig.changes)
    notes.push(...tsconfig.notes)
    const gitignore = gitignoreChange(root, types.dir)
    if (gitignore) changes.push(gitignore)
  }
  notes.push(...packageNotes(root))
  return { ...(framework && { framework: framework.name }), changes, notes }
}

function byHand(entry: string): string {
  return `Add onnx() of 'unplugin-onnx/${entry}' to its plugins`
}

/** What the tsconfig of an app lacks. */
export async function typesPlan(
  root: string,
  typesDir: string,
): Promise<{ readonly changes: readonly FileChange[]; readonly notes: readonly string[] }> {
  const edited = await editTsconfig(root, typesDir)
  if (!edited) return { changes: [], notes: ['there is no tsconfig.json: calls are not type-checked'] }
  const { file, text, reason } = edited
  if (reason !== undefined)
    return { changes: [], notes: [`${relative(root, file)} was left as it is, because ${reason}`] }
  return text === undefined
    ? { changes: [], notes: [] }
    : { changes: [{ file, before: readFileSync(file, 'utf8'), after: text }], notes: [] }
}

/** Packages that the app does not list. */
function packageNotes(root: string): readonly string[] {
  const listed = dependenciesOf(root)
  return [
    ...(listed.has('unplugin-onnx') ? [] : ['run: npm install --save-dev unplugin-onnx']),
    ...(listed.has('onnxruntime-node') ? [] : ['run: npm install onnxruntime-node']),
  ]
}

/** The dependencies in the package.json of a folder, with their ranges; none for a file that cannot be read. */
export function dependenciesOf(root: string): ReadonlyMap<string, string> {
  try {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as {
      dependencies?: Record<string, string>
      devDependencies?: Record<string, string>
    }
    return new Map(Object.entries({ ...devDependencies, ...dependencies }))
  } catch {
    return new Map()
  }
}
