import { readFile } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { backendNames, type BackendName, precisions } from '../../../runtime/manifest.ts'
import type { Facts } from '../../cache/key.ts'
import { openStore } from '../../cache/store.ts'
import { hashFile } from '../../files/hash.ts'
import { parseRequest } from '../../options/query.ts'
import type { ResolvedOptions } from '../../options/schema.ts'
import { shorten } from '../../text.ts'
import type { Verification } from '../../verify/verdict.ts'
import type { EngineView } from '../contract.ts'

/** A model that the page shows, by its absolute path. */
export type ModelPlace = { readonly id: string; readonly file: string }

/** Every engine of the cache that an import of these models uses, or any import when there is no model. */
export async function describeEngines(
  models: readonly ModelPlace[],
  { root, cache }: ResolvedOptions,
): Promise<readonly EngineView[]> {
  const store = openStore({ ...cache, warn: console.error })
  const [entries, imports] = await Promise.all([store.list(), store.imports()])
  const byDigest = new Map(entries.map((entry) => [entry.digest, entry]))
  const fileOf = (key: string) =>
    byDigest.get(imports.find(({ importKey }) => importKey === key)?.entry.digest ?? '')?.file
  const views = imports.map(async ({ importKey, entry, reason }): Promise<EngineView | undefined> => {
    const found = byDigest.get(entry.digest)
    const parts = engineParts(importKey)
    // Measurements of an engine have entries of their own.
    if (!found || !parts || found.facts['backend'] === undefined) return undefined
    const model = models.find(({ file }) => relative(root, file).replaceAll('\\', '/') === parts.file)
    return {
      id: `engine:${importKey}`,
      model: model?.id ?? null,
      modelName: shorten(parts.file, 300),
      query: parts.query,
      backend: parts.backend,
      precision: precisionOf(parts.query),
      file: found.file,
      bytes: found.size,
      facts: factRows(found.facts),
      requires: [],
      why: shorten(reason, 300),
      verification: await figuresOf(fileOf(`${importKey} verification`)),
      buildSeconds: found.seconds,
      bench: null,
      stale: await staleReason(resolve(root, parts.file), found.facts),
    }
  })
  return (await Promise.all(views)).filter((view) => view !== undefined)
}

// What a build measured is in the cache, next to the engine.
async function figuresOf(file: string | undefined): Promise<EngineView['verification']> {
  const text = file === undefined ? undefined : await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return []
  const { outputs, failures } = JSON.parse(text) as Verification
  return outputs.map(({ name, cosine, maxAbs }) => ({
    output: shorten(name, 300),
    cosine,
    maxError: maxAbs,
    isWithinLimits: !failures.some((line) => line.includes(name)),
  }))
}

// 'model.onnx ?engine=fp16 openvino cpu': see importKeyOf. Imports without a backend are of measurements.
function engineParts(
  importKey: string,
): { readonly file: string; readonly query: string; readonly backend: BackendName } | undefined {
  const words = importKey.split(' ')
  const position = words.findIndex((word, index) => index > 0 && backendNames.some((name) => name === word))
  if (position < 1) return undefined
  const head = words.slice(0, position).join(' ')
  const [, file = head, query = ''] = /^(.*?\.onnx) ?(.*)$/.exec(head) ?? []
  return { file, query, backend: words[position] as BackendName }
}

function precisionOf(query: string): EngineView['precision'] {
  const named = parseRequest(`./model.onnx?${query.replace(/^\?/, '')}`)?.query.engine
  return precisions.find((precision) => precision === named) ?? 'fp32'
}

function factRows(facts: Facts): EngineView['facts'] {
  return Object.entries(facts).map(([name, value]) => ({ name: shorten(name), value: shorten(String(value), 300) }))
}

async function staleReason(file: string, { model }: Facts): Promise<string | null> {
  if (typeof model !== 'string') return null
  const digest = await hashFile(file).catch(() => undefined)
  if (digest === undefined) return 'the model is not there any more'
  return digest === model ? null : 'the model has changed since'
}
