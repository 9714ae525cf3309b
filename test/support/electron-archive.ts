import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** What a main process of these tests is: it prints 3, 5, 7, 9. */
export const mainProcess = `
import model from './model.onnx?engine=fp32'
model.infer({ x: { data: new Float32Array([1, 2, 3, 4]), dims: [1, 4] } }).then(({ y }) => {
  console.log(JSON.stringify([...y.data]))
})
`

/** The code block of docs/electron.md whose first line is a comment with this name. */
export function codeOf(name: string): string {
  const page = readFileSync(new URL('../../docs/electron.md', import.meta.url), 'utf8')
  const block = page.split('```').find((text) => [`// ${name}`, `# ${name}`].includes(text.split('\n')[1] ?? ''))
  if (block === undefined) throw new Error(`docs/electron.md has no code of ${name}`)
  return block.slice(block.indexOf('\n'))
}

/** Where a packager put the archive of an app. */
export function archiveIn(folder: string): string {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((file) => file.endsWith('app.asar'))
  if (found === undefined) throw new Error(`${folder} has no app.asar`)
  return join(folder, found)
}

/** Runs a file of an archive by Electron's rules. Gives what it printed, and what was read from inside the archive. */
export async function runArchive(
  archive: string,
  entry: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly result: unknown; readonly inside: unknown }> {
  const files = fileURLToPath(new URL('electron-files.cjs', import.meta.url))
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [files, archive, normalize(entry)], {
    env: { ...process.env, ...env },
  })
  return { result: JSON.parse(stdout), inside: JSON.parse(stderr) }
}
