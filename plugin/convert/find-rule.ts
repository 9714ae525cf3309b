import { basename } from 'node:path'
import type { ConvertStep } from '../options/convert-schema.ts'

/** Rules of the option `convert`, by the end of a name. */
export type ConvertRules = Readonly<Record<string, ConvertStep>>

/** The rule for a file or folder, with its key; undefined for a file that is ONNX. The longest key wins. */
export function findRule(
  file: string,
  rules: ConvertRules,
): { readonly key: string; readonly rule: ConvertStep } | undefined {
  if (file.endsWith('.onnx')) return undefined
  const name = basename(file)
  const keys = Object.keys(rules).filter((key) => (key.startsWith('.') ? name.endsWith(key) : name === key))
  const [key] = keys.sort((a, b) => b.length - a.length)
  const rule = key === undefined ? undefined : rules[key]
  return key !== undefined && rule ? { key, rule } : undefined
}

/** The name of a model: its file's, without the ending. */
export function modelName(file: string, rules: ConvertRules = {}): string {
  const name = basename(file)
  const ending = findRule(file, rules)?.key ?? '.onnx'
  const isEnding = name.toLowerCase().endsWith(ending.toLowerCase()) && name.length > ending.length
  return isEnding ? name.slice(0, -ending.length) : name
}
