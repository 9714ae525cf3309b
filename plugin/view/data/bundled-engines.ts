import { stat } from 'node:fs/promises'
import { relative } from 'node:path'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { inspectFolder } from '../../inspect/bundle.ts'
import type { BundledModel } from '../../inspect/contract.ts'
import { shorten } from '../../text.ts'
import type { EngineView } from '../contract.ts'
import { factRows } from './fact-rows.ts'

/** Every engine that the models of a built app ship, when `path` is the folder of one. */
export async function bundledEngines(path: string): Promise<readonly EngineView[]> {
  if (!(await stat(path)).isDirectory()) return []
  const bundle = await inspectFolder(path).catch((error: unknown) => {
    // Most folders are no bundle.
    if (error instanceof OnnxEngineError && error.code === 'MODEL_NOT_FOUND') return undefined
    throw error
  })
  return bundle?.models.flatMap((model) => enginesOf(model, path)) ?? []
}

function enginesOf({ name, source, variants, taken }: BundledModel, folder: string): readonly EngineView[] {
  return variants.map(({ backend, engine, file, size, verified, requires, checksum, refused }, index) => ({
    id: `engine:bundle ${source} ${name} ${index}`,
    origin: 'bundle',
    model: null,
    modelName: shorten(name, 300),
    query: '',
    backend,
    label: '',
    precision: engine,
    file,
    bytes: size,
    facts: factRows({ source, file: relative(folder, file), verified, checksum }),
    requires: factRows(requires),
    why: index === taken ? 'this machine takes it' : 'this machine takes another',
    verification: [],
    errorParts: [],
    buildSeconds: null,
    bench: null,
    stale: null,
    problems: [
      ...(checksum === 'ok' ? [] : [shorten(checksum, 300)]),
      ...(refused === undefined ? [] : [shorten(refused, 300)]),
    ],
  }))
}
