import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ModelManifest } from '../../runtime/manifest.ts'
import { blockedLayout, saturatesInt8 } from '../../runtime/onnxruntime/cpu.ts'
import { findOpenVino } from '../../runtime/openvino/library.ts'
import { findTensorRt } from '../../runtime/tensorrt/library.ts'
import { folderAt } from '../cache/folder.ts'
import { stranger } from '../cache/trust.ts'
import { configStamp, readConfig } from '../options/config-file.ts'
import { defaultCacheDir, type Options } from '../options/types.ts'

/** A compiled model as plain Node.js loads it. */
export interface CompiledModule {
  /** Its engines are in the cache. */
  readonly manifest: ModelManifest
  /** Absolute paths of what it was made of: the model, its external data, the file with the options. */
  readonly files: readonly string[]
  /** Key digests of its engines. */
  readonly digests: readonly string[]
  /** Folder of the cache. */
  readonly cacheDir: string
}

/** What a start reads instead of the model. */
interface StartRecord extends CompiledModule {
  /** Stands for all that decides which engines a model gets, except its files. */
  readonly surroundings: string
  /** Stamps of `files`, in their order. */
  readonly stamps: readonly string[]
}

/** An app as a start sees it. */
interface StartPlace {
  readonly root: string
  readonly cacheDir: string
  readonly options: Options
}

/**
 * Where the records of an app are. It reads the options without checking them; undefined for those that decide engines
 * by more than a record knows: samples, libraries that the user names, and graphs to write.
 */
function startPlace(folder: string): StartPlace | undefined {
  const options = readConfig(folder)?.options ?? {}
  const text = optionsText(options)
  if (/"(?:calibration|samples|keepOnnx|library)":/.test(text)) return undefined
  const root = resolve(folder, options.root ?? '')
  return { root, cacheDir: resolve(root, options.cache?.dir ?? defaultCacheDir), options }
}

/**
 * The model of an earlier start, if everything is as it was then: the files, by their stat; the options; the libraries
 * that are found; the versions; the CPU. It is synchronous and loads little, because every start of an app waits for
 * it.
 */
export function readStart(folder: string, id: string): CompiledModule | undefined {
  try {
    const place = startPlace(folder)
    return place && readAt(place, id)
  } catch {
    // No record, a damaged one, or options that are wrong: the compilation says so.
    return undefined
  }
}

function readAt(place: StartPlace, id: string): CompiledModule | undefined {
  const folder = folderAt(place.cacheDir)
  for (const dir of [dirname(folder.root), folder.root, folder.starts]) {
    const { uid, mode } = statSync(dir)
    if (stranger(uid, mode) !== undefined) return undefined
  }
  const [sum, text = ''] = readFileSync(startFile(place, id), 'utf8').split('\n', 2)
  if (sum !== digest(text)) return undefined
  const record = JSON.parse(text) as StartRecord
  if (record.surroundings !== surroundings(place)) return undefined
  if (!record.files.every((file, index) => configStamp(file) === record.stamps[index])) return undefined
  // The bytes of engines are verified when they are opened.
  const isPresent = record.manifest.variants.every(
    ({ file, size }) => statSync(fileURLToPath(String(file)), { throwIfNoEntry: false })?.size === size,
  )
  return isPresent ? record : undefined
}

/** Records a model for the next start, unless one of its files was written too recently to be known by its stat. */
export async function writeStart(folder: string, id: string, module: CompiledModule): Promise<void> {
  const place = startPlace(folder)
  if (place === undefined || dependsOnGpu()) return
  const { replaceFile } = await import('../files/replace-file.ts')
  const recently = Date.now() - racyMs
  if (module.files.some((file) => changedAt(file) > recently)) return
  const stamps = module.files.map((file) => configStamp(file))
  const text = JSON.stringify({ ...module, surroundings: surroundings(place), stamps } satisfies StartRecord)
  // A folder that cannot be written costs the next start some time.
  await replaceFile(startFile(place, id), `${digest(text)}\n${text}`).catch(() => {})
}

// Stamps of whole seconds, as FAT has them, see two writes within two seconds as one.
const racyMs = 2000

function changedAt(file: string): number {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats ? Math.max(stats.mtimeMs, stats.ctimeMs) : Infinity
}

function startFile({ root, cacheDir }: StartPlace, id: string): string {
  return join(folderAt(cacheDir).starts, `${digest(JSON.stringify([root, id]))}.json`)
}

function surroundings({ root, options }: StartPlace): string {
  const variables = Object.entries(process.env).filter(([name]) =>
    /ONNX|OPENVINO|TENSORRT|CUDA|LIBRARY_PATH/.test(name),
  )
  const libraries = [findOpenVino(), findTensorRt('tensorrt-rtx'), findTensorRt('tensorrt')]
  const found = libraries.map((library) => ('file' in library ? `${library.file} ${configStamp(library.file)}` : ''))
  const peer = peerFile(root)
  return digest(
    JSON.stringify([
      [ownVersion(), process.platform, process.arch, process.cwd()],
      [blockedLayout(), saturatesInt8(), cpus()[0]?.model],
      [peer, configStamp(peer), ...found],
      variables.sort(([a], [b]) => (a < b ? -1 : 1)),
      optionsText(options),
    ]),
  )
}

/** Whether a library is installed whose engines depend on more than a record knows: on a GPU and its driver. */
function dependsOnGpu(): boolean {
  return (['tensorrt-rtx', 'tensorrt'] as const).some((flavour) => 'file' in findTensorRt(flavour))
}

// As the backend of ONNX Runtime looks for it.
function peerFile(root: string): string {
  for (const from of [join(root, 'package.json'), import.meta.url]) {
    try {
      return createRequire(from).resolve('onnxruntime-node/package.json')
    } catch {
      // Not installed from here: try the next place.
    }
  }
  return ''
}

// Functions, such as those of a remote store, count by their text.
function optionsText(options: Options): string {
  return JSON.stringify(options, (_, value: unknown) => (typeof value === 'function' ? String(value) : value))
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  // A checkout changes without its version.
  return `${version} ${configStamp(fileURLToPath(new URL('./start-record.js', import.meta.url)))}`
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
