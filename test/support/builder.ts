import { fileURLToPath } from 'node:url'
import { type Child, startChild } from './child.ts'

/** The path of the program that `startBuilder` runs. */
export const builder: string = fileURLToPath(new URL('builder.mjs', import.meta.url))

/** Starts a process that uses the cache in `dir`; builder.mjs has the modes. It begins with its first message. */
export function startBuilder(mode: string, dir: string): Promise<Child> {
  return startChild(builder, [mode, dir])
}
