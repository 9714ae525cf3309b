import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * Runs a script that opens a library and prints JSON about it. A library that is broken, or built for another machine,
 * can crash the process that opens it, so this process does not.
 *
 * @param script the script's URL: it is a module of this package
 * @returns the JSON, or the reason in one sentence: what the library said, its last 2,000 characters
 */
export async function probeInChild<T>(
  script: URL,
  libraries: readonly [string, ...string[]],
): Promise<{ readonly answer: T } | { readonly reason: string }> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(script), ...libraries])
    return { answer: JSON.parse(stdout) as T }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    // Node prints the place of the throw and a stack around the one line that matters.
    const line = /^\[?Error: (.*?)\]?$/m.exec(stderr ?? '')?.[1]
    const text = line ?? (stderr?.trim() || message)
    return { reason: `${libraries[0]} cannot be used: ${text.slice(-2000)}` }
  }
}
