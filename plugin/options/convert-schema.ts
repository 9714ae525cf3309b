import * as v from 'valibot'
import type { ConvertRule } from './convert-types.ts'
import { duration, recordOf, section, type SchemasOf } from './validators.ts'

const text = v.pipe(
  v.string(),
  v.check((value) => value !== '', 'text'),
)
const texts = v.pipe(v.array(text), v.readonly())
const command = v.pipe(
  v.array(text),
  v.check((parts) => parts.length > 0, 'a program and its arguments'),
  v.check((parts) => parts.some((part) => part.includes('{output}')), `an argument with '{output}'`),
  v.readonly(),
)
const rule = section({
  command,
  inputs: v.optional(texts, []),
  version: v.optional(texts, []),
  rename: v.optional(recordOf(text), {}),
  dims: v.optional(recordOf(v.pipe(v.array(v.nullable(text)), v.readonly())), {}),
  timeout: v.optional(duration('30m'), '10m'),
} satisfies SchemasOf<ConvertRule>)

// What the name of a model may end with: the filters of bundlers are made of it.
const ending = /^[\w.-]*\w$/

/** The option `convert`. */
export const convert: ReturnType<typeof recordOf<ConvertRule, ConvertStep>> = v.pipe(
  recordOf(rule),
  v.check(
    (rules) => Object.keys(rules).every((key) => ending.test(key) && !key.endsWith('.onnx')),
    `names such as '.pt2' or 'saved_model', and not '.onnx'`,
  ),
)

/** A rule with its defaults; `timeout` is in milliseconds. */
export type ConvertStep = v.InferOutput<typeof rule>
