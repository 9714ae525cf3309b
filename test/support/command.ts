import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))

/** How a run of the command ended. */
export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `unplugin-onnx` with these arguments, in a folder. */
export function runCommand(args: readonly string[], cwd?: string, env = process.env): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args], { cwd, env }, (error, stdout, stderr) => {
      const failure = error ? -1 : 0
      resolve({ code: typeof error?.code === 'number' ? error.code : failure, stdout, stderr })
    })
  })
}
