// Stands for the compiler of a machine with a GPU: its plan is the name of that GPU.
import { writeFile } from 'node:fs/promises'

export async function run({ output, settings }) {
  await writeFile(output, `a plan of ${settings.targets.join()}`)
}
