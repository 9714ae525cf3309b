import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, basename, join } from 'node:path'
import { usageError } from './usage.ts'

/** Options of trtexec that name the same thing as one of ours: ours, with the value. */
const translations: Readonly<Record<string, (value: string) => readonly string[]>> = {
  onnx: (value) => [value],
  minShapes: (value) => ['--min', value],
  optShapes: (value) => ['--opt', value],
  maxShapes: (value) => ['--max', value],
  warmUp: (value) => ['--warmup', value],
  infStreams: (value) => ['--concurrency', value],
  streams: (value) => ['--concurrency', value],
  saveEngine: (value) => ['--out', dirname(value)],
}

/** Switches of trtexec that allow a precision. */
const precisionSwitches: Readonly<Record<string, string>> = { fp16: 'fp16', bf16: 'bf16', int8: 'int8' }

/**
 * The arguments of `bench` with trtexec's options in our spelling; undefined when there are none. `--loadEngine` names
 * an engine: our spelling is the manifest next to it.
 */
export async function fromTrtexec(args: readonly string[]): Promise<readonly string[] | undefined> {
  const precisions: string[] = []
  const translated: string[] = []
  let count = 0
  for (const arg of args) {
    const [, name = '', value] = /^--?([A-Za-z]\w*)(?:=(.*))?$/s.exec(arg) ?? []
    const words = await wordsOf(name, value, precisions)
    if (words) count++
    translated.push(...(words ?? [arg]))
  }
  if (count === 0) return undefined
  return precisions.length > 0 ? [...translated, '--engine', precisions.join(',')] : translated
}

async function wordsOf(
  name: string,
  value: string | undefined,
  precisions: string[],
): Promise<readonly string[] | undefined> {
  const precision = Object.hasOwn(precisionSwitches, name) ? precisionSwitches[name] : undefined
  if (precision !== undefined && value === undefined) {
    precisions.push(precision)
    return []
  }
  if (value === undefined) return undefined
  if (name === 'loadEngine') return [await manifestOf(value)]
  return Object.hasOwn(translations, name) ? translations[name]?.(value) : undefined
}

/** The manifest next to an engine that lists it. */
async function manifestOf(engine: string): Promise<string> {
  if (engine.endsWith('.json')) return engine
  const folder = dirname(engine)
  const names = existsSync(folder) ? (await readdir(folder)).filter((name) => name.endsWith('.json')) : []
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '')
    if (text.includes('"variants"') && text.includes(JSON.stringify(basename(engine)))) return join(folder, name)
  }
  throw usageError(
    `--loadEngine=${engine}: no manifest in ${folder} lists this engine`,
    'An engine alone does not say what its inputs are. Give the .json that `unplugin-onnx build` wrote next to it',
  )
}
