import { runNpm } from './package-managers.ts'

/** Where npm keeps the Node.js of a version, which it fetches as any package. */
export async function nodeBinary(version: string, cwd: string): Promise<string> {
  const system = process.platform === 'win32' ? 'win' : process.platform
  return (
    await runNpm(
      cwd,
      'exec',
      '--yes',
      `--package=node-${system}-${process.arch}@${version}`,
      '--',
      'node',
      '--print',
      'process.execPath',
    )
  ).trim()
}
