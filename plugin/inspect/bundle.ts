import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, relative, resolve } from 'node:path'
import { glob } from 'tinyglobby'
import { pathOf } from '../../runtime/artifact.ts'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { readManifest } from '../../runtime/load.ts'
import type { ModelManifest, VariantManifest } from '../../runtime/manifest.ts'
import { refusalOf } from '../../runtime/open-variant.ts'
import { hashFile } from '../files/hash.ts'
import type { BundledModel, BundleInspection, VariantInspection } from './contract.ts'
import { embeddedManifests } from './embedded-manifests.ts'

/**
 * Describes the model of a manifest: its engines, whether they are as they were shipped, and which one this machine
 * takes.
 */
export async function inspectManifest(file: string): Promise<BundleInspection> {
  const path = resolve(file)
  const manifest = await readManifest(file)
  const model = await inspectBundled(manifest, path, async (variant) => pathOf(variant.file, dirname(path)))
  return { kind: 'bundle', path, models: [model], unlisted: [] }
}

/**
 * Describes the models in the output of a build: those of manifests and of chunks.
 *
 * @throws OnnxEngineError when the folder holds none
 */
export async function inspectFolder(folder: string): Promise<BundleInspection> {
  const path = resolve(folder)
  const files = await glob(['**/*.{json,js,mjs,cjs,ort,onnx,blob,engine}'], {
    cwd: path,
    absolute: true,
    ignore: ['**/node_modules/**'],
  })
  const engines = files.filter((file) => engineExtensions.has(extname(file)))
  const models: BundledModel[] = []
  const listed = new Set<string>()
  for (const source of files.filter((file) => !engineExtensions.has(extname(file))).sort()) {
    for (const manifest of await manifestsIn(source)) {
      const model = await inspectBundled(manifest, source, (variant) => findEngine(variant, engines))
      for (const variant of model.variants) listed.add(variant.file)
      models.push({ ...model, source: relative(path, source) })
    }
  }
  if (models.length === 0) {
    throw new OnnxEngineError('MODEL_NOT_FOUND', path, {
      expected: 'the output of a build, with models in its code or with manifests',
      received: files.length === 0 ? 'no such file in it' : `${files.length} files without a model`,
    })
  }
  const unlisted = engines.filter((file) => !listed.has(file)).map((file) => relative(path, file))
  return { kind: 'bundle', path, models, unlisted: unlisted.sort() }
}

const engineExtensions = new Set(['.ort', '.onnx', '.blob', '.engine'])

/** Larger chunks are not parsed: a bundle of this size is no code. */
const mostCode = 64e6

async function manifestsIn(source: string): Promise<readonly ModelManifest[]> {
  const { size } = await stat(source)
  if (size > mostCode) return []
  if (extname(source) !== '.json') return embeddedManifests(source, await readFile(source, 'utf8'))
  return readManifest(source).then(
    (manifest) => [manifest],
    () => [],
  )
}

/** By its name where the code has it, otherwise by its content: some bundlers keep names elsewhere. */
async function findEngine(
  { file, size, sha256 }: VariantManifest,
  engines: readonly string[],
): Promise<string | undefined> {
  const name = basename(String(file))
  const named = name === '' ? undefined : engines.find((engine) => basename(engine) === name)
  if (named !== undefined) return named
  for (const engine of engines) {
    if ((await stat(engine)).size === size && (await hashFile(engine)) === sha256) return engine
  }
  return undefined
}

type Locate = (variant: VariantManifest) => Promise<string | undefined>

async function inspectBundled(manifest: ModelManifest, source: string, locate: Locate): Promise<BundledModel> {
  const variants: VariantInspection[] = []
  for (const variant of manifest.variants) variants.push(await inspectVariant(variant, await locate(variant)))
  const taken = variants.findIndex(({ refused, checksum }) => refused === undefined && checksum === 'ok')
  return { name: manifest.name, source, bindings: manifest.bindings, variants, taken: taken === -1 ? null : taken }
}

async function inspectVariant(variant: VariantManifest, file: string | undefined): Promise<VariantInspection> {
  const { backend, engine, size, requires, verified = true } = variant
  const refused = await refusalOf(variant, {})
  const checksum = file === undefined ? 'the file was not found' : await checkEngine(file, variant)
  const place = file ?? String(variant.file)
  return { backend, engine, file: place, size, verified, requires, checksum, ...(refused !== undefined && { refused }) }
}

async function checkEngine(file: string, { size, sha256 }: VariantManifest): Promise<string> {
  const stats = await stat(file).catch(() => undefined)
  if (!stats?.isFile()) return 'the file was not found'
  if (stats.size !== size) return `it has ${stats.size} bytes instead of ${size}`
  return (await hashFile(file)) === sha256 ? 'ok' : 'its bytes are not those that were shipped'
}

/** The manifest next to an engine that lists it, and the engine in it; undefined without one. */
export async function manifestOfEngine(
  engine: string,
): Promise<{ readonly manifest: string; readonly entry: VariantInspection } | undefined> {
  const path = resolve(engine)
  const folder = dirname(path)
  for (const file of (await glob(['*.json'], { cwd: folder, absolute: true })).sort()) {
    const found = (await manifestsIn(file)).flatMap(({ variants }) => variants)
    const variant = found.find((each) => pathOf(each.file, folder) === path)
    if (variant) return { manifest: file, entry: await inspectVariant(variant, path) }
  }
  return undefined
}
