import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileKind, pathOf, placeText } from './artifact.ts'
import { OnnxEngineError, textOf } from './errors.ts'
import { manifestMistake } from './manifest-schema.ts'
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
  const read = await readManifest(manifest)
  return createModel(read.manifest, options, dirname(read.path))
}

/** Reads a manifest file and checks its form. Rejects with MODEL_NOT_FOUND or ARTIFACT_INVALID. */
export async function readManifest(place: FileUrl | string): Promise<{ manifest: ModelManifest; path: string }> {
  const path = pathOf(place, '.')
  if (path === undefined) throw manifestNotFound(placeText(place), 'a path or a file: URL of this machine')
  return { manifest: parseManifest(path, await readText(path)), path }
}

async function readText(path: string): Promise<string> {
  const expected = 'the .json file of a compiled model'
  try {
    // Before the file is opened: opening a FIFO waits for a writer, perhaps for ever.
    const stats = await stat(path)
    if (!stats.isFile()) throw manifestNotFound(path, expected, fileKind(stats))
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof OnnxEngineError) throw cause
    const absent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw manifestNotFound(path, expected, absent ? 'no such file' : textOf(cause), cause)
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
    throw manifestInvalid(path, 'JSON', textOf(cause), cause)
  }
  const mistake = manifestMistake(manifest)
  if (mistake) throw manifestInvalid(path, mistake.expected, mistake.received)
  return manifest as ModelManifest
}

function manifestInvalid(path: string, expected: string, received: string, cause?: unknown): OnnxEngineError {
  const hint = 'Build the model again with this version of unplugin-onnx.'
  return new OnnxEngineError('ARTIFACT_INVALID', `manifest ${path}`, { expected, received, hint, cause })
}
