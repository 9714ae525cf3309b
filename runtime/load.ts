import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathOf } from './artifact.ts'
import { dtypes } from './dtype.ts'
import { OnnxEngineError } from './errors.ts'
import type { FileUrl, ModelManifest } from './manifest.ts'
import { createModel } from './model.ts'
import type { LoadOptions } from './options.ts'
import type { Model } from './types.ts'

/**
 * The model of a manifest file (`.json`) that `compile` or `unplugin-onnx build` wrote. Its engines are found relative
 * to the manifest, and are opened by load() or the first infer(). Rejects with MODEL_NOT_FOUND, ARTIFACT_INVALID or
 * OPTION_INVALID.
 */
export async function loadModel(manifest: FileUrl | string, options: LoadOptions = {}): Promise<Model> {
  const path = pathOf(manifest, '.')
  if (path === undefined) throw manifestNotFound(String(manifest), 'a path or a file: URL')
  return createModel(parseManifest(path, await readText(path)), options, dirname(path))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw manifestNotFound(path, 'the .json file of a compiled model', absent ? 'no such file' : String(cause), cause)
  }
}

function manifestNotFound(place: string, expected: string, received = place, cause?: unknown): OnnxEngineError {
  const hint = 'Write it with `unplugin-onnx build model.onnx --out DIR` or compile().'
  return new OnnxEngineError('MODEL_NOT_FOUND', `manifest ${place}`, { expected, received, hint, cause })
}

function parseManifest(path: string, text: string): ModelManifest {
  let manifest: unknown
  try {
    manifest = JSON.parse(text)
  } catch (cause) {
    throw manifestInvalid(path, 'JSON', cause instanceof Error ? cause.message : String(cause), cause)
  }
  const wrong = mismatch(manifest, manifestSchema, 'the manifest')
  if (wrong) throw manifestInvalid(path, wrong.expected, wrong.received)
  return manifest as ModelManifest
}

function manifestInvalid(path: string, expected: string, received: string, cause?: unknown): OnnxEngineError {
  const hint = 'Build the model again with this version of unplugin-onnx.'
  return new OnnxEngineError('ARTIFACT_INVALID', `manifest ${path}`, { expected, received, hint, cause })
}

type Schema =
  | { readonly text: string; readonly accepts: (value: unknown) => boolean }
  | { readonly each: Schema }
  | { readonly keys: Readonly<Record<string, Schema>> }

const string: Schema = { text: 'text', accepts: (value) => typeof value === 'string' }
const bindingSchema: Schema = {
  keys: {
    name: string,
    dtype: { text: 'a dtype', accepts: (value) => typeof value === 'string' && Object.hasOwn(dtypes, value) },
    dims: {
      text: 'dims (a list of numbers, names and nulls) or null',
      accepts: (value) => value === null || (Array.isArray(value) && value.every(isDim)),
    },
  },
}
const manifestSchema: Schema = {
  keys: {
    schema: { text: '1', accepts: (value) => value === 1 },
    name: string,
    bindings: { keys: { inputs: { each: bindingSchema }, outputs: { each: bindingSchema } } },
    variants: {
      each: {
        keys: {
          backend: string,
          engine: string,
          file: string,
          size: { text: 'a number of bytes', accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 },
          sha256: {
            text: '64 hex digits',
            accepts: (value) => typeof value === 'string' && /^[\da-f]{64}$/.test(value),
          },
          requires: { keys: {} },
        },
      },
    },
  },
}

function mismatch(value: unknown, schema: Schema, subject: string): { expected: string; received: string } | undefined {
  if ('accepts' in schema)
    return schema.accepts(value)
      ? undefined
      : { expected: `${subject} to be ${schema.text}`, received: JSON.stringify(value) ?? 'nothing' }
  if ('each' in schema) {
    if (!Array.isArray(value)) return { expected: `${subject} to be a list`, received: typeof value }
    return firstDefined(value.map((item, index) => mismatch(item, schema.each, `${subject}[${index}]`)))
  }
  if (typeof value !== 'object' || value === null)
    return { expected: `${subject} to be an object`, received: value === null ? 'null' : typeof value }
  return firstDefined(
    Object.entries(schema.keys).map(([key, inner]) =>
      mismatch((value as Record<string, unknown>)[key], inner, `${subject}.${key}`),
    ),
  )
}

function firstDefined<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined)
}

function isDim(dim: unknown): boolean {
  return dim === null || typeof dim === 'string' || (Number.isSafeInteger(dim) && Number(dim) >= 0)
}
