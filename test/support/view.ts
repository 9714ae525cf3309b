import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../../dist/plugin/cli.js', import.meta.url))

/** A running `unplugin-onnx view`. */
export interface StartedView {
  readonly url: string
  /** Interrupts it as Ctrl-C does; the code that it exits with. */
  end(): Promise<number | null>
}

export async function startView(args: readonly string[], env = process.env, bin = command): Promise<StartedView> {
  const child = spawn(process.execPath, [bin, 'view', ...args, '--no-open'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const printed: Buffer[] = []
  child.stderr.on('data', (part: Buffer) => printed.push(part))
  const first = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)])
  if (first === undefined) throw new Error(Buffer.concat(printed).toString())
  return {
    url: String(first[0]).trim(),
    async end() {
      child.kill('SIGINT')
      return ((await exited) as [number | null])[0]
    },
  }
}
