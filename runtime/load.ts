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
 * to it, and are opened by load() or the first infer(). Rejects with MODEL_NOT_FOUND, ARTIFACT_INVALID or
 * OPTION_INVALID.
 */
export async function loadModel(manifest: FileUrl | string, options: LoadOptions = {}): Promise<Model> {
  const path = pathOf(manifest, '.')
  if (path === undefined) throw notFound(String(manifest), 'a path or a file: URL')
  return createModel(parseManifest(path, await readText(path)), options, dirname(path))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw notFound(path, 'the .json file of a compiled model', absent ? 'no such file' : String(cause), cause)
  }
}

function notFound(place: string, expected: string, received = place, cause?: unknown): OnnxEngineError {
  const hint = 'Write it with `unplugin-onnx build model.onnx --out DIR` or compile().'
  return new OnnxEngineError('MODEL_NOT_FOUND', `manifest ${place}`, { expected, received, hint, cause })
}

function parseManifest(path: string, text: string): ModelManifest {
  let manifest: unknown
  try {
    manifest = JSON.parse(text)
  } catch (cause) {
    throw invalid(path, 'JSON', cause instanceof Error ? cause.message : String(cause), cause)
  }
  const wrong = mismatch(manifest, modelShape, 'the manifest')
  if (wrong) throw invalid(path, wrong.expected, wrong.received)
  return manifest as ModelManifest
}

function invalid(path: string, expected: string, received: string, cause?: unknown): OnnxEngineError {
  const hint = 'Build the model again with this version of unplugin-onnx.'
  return new OnnxEngineError('ARTIFACT_INVALID', `manifest ${path}`, { expected, received, hint, cause })
}

type Shape =
  | { readonly text: string; readonly accepts: (value: unknown) => boolean }
  | { readonly each: Shape }
  | { readonly keys: Readonly<Record<string, Shape>> }

const string: Shape = { text: 'text', accepts: (value) => typeof value === 'string' }
const bindingShape: Shape = {
  keys: {
    name: string,
    dtype: { text: 'a dtype', accepts: (value) => typeof value === 'string' && Object.hasOwn(dtypes, value) },
    dims: {
      text: 'dims (a list of numbers, names and nulls) or null',
      accepts: (value) => value === null || (Array.isArray(value) && value.every(isDim)),
    },
  },
}
const modelShape: Shape = {
  keys: {
    schema: { text: '1', accepts: (value) => value === 1 },
    name: string,
    bindings: { keys: { inputs: { each: bindingShape }, outputs: { each: bindingShape } } },
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

function mismatch(value: unknown, shape: Shape, where: string): { expected: string; received: string } | undefined {
  if ('accepts' in shape)
    return shape.accepts(value)
      ? undefined
      : { expected: `${where} to be ${shape.text}`, received: JSON.stringify(value) ?? 'nothing' }
  if ('each' in shape) {
    if (!Array.isArray(value)) return { expected: `${where} to be a list`, received: typeof value }
    return first(value.map((item, index) => mismatch(item, shape.each, `${where}[${index}]`)))
  }
  if (typeof value !== 'object' || value === null)
    return { expected: `${where} to be an object`, received: value === null ? 'null' : typeof value }
  return first(
    Object.entries(shape.keys).map(([key, inner]) =>
      mismatch((value as Record<string, unknown>)[key], inner, `${where}.${key}`),
    ),
  )
}

function first<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined)
}

function isDim(dim: unknown): boolean {
  return dim === null || typeof dim === 'string' || (Number.isSafeInteger(dim) && Number(dim) >= 0)
}
