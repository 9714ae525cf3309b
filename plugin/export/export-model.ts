import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { makeFolder } from '../../runtime/make-folder.ts'
import { replaceFile } from '../files/replace-file.ts'
import { listedProfiles } from '../options/listed-profiles.ts'
import { batchingOf } from './batching.ts'
import { writeLoweredFile, type LoweredFileRequest } from './lowered-file.ts'
import { kserveScript, mlserverScript, typesScript } from './python-servers.ts'
import { tritonConfig } from './triton-config.ts'
import { tritonReadme } from './triton-readme.ts'

/** Servers that a model can be exported for. */
export const exportTargets = ['triton', 'kserve', 'mlserver'] as const
export type ExportTarget = (typeof exportTargets)[number]

/** A model to write for a server. */
export interface ExportRequest extends LoweredFileRequest {
  readonly target: ExportTarget
  /** The folder of all models of the server. */
  readonly folder: string
  /** The model's name on the server. Default: the name of the file. */
  readonly name?: string | undefined
  readonly version: number
  readonly maxBatch?: number | undefined
  readonly instances: number
  readonly threads?: number | undefined
}

/**
 * Writes a model for a server. Returns the paths of the files, the model first. Throws OPTION_INVALID and
 * OUTPUT_FAILED.
 */
export async function exportModel(request: ExportRequest): Promise<readonly string[]> {
  const name = request.name ?? basename(request.file).replace(/\.onnx$/i, '')
  // Part of paths and URLs on the server.
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name)) {
    throw new OnnxEngineError('OPTION_INVALID', `name ${JSON.stringify(name)} of an exported model`, {
      expected: 'letters, digits, dots, hyphens and underscores',
      received: JSON.stringify(name),
      hint: 'Give another name with --name.',
    })
  }
  const writers: Readonly<Record<ExportTarget, typeof exportTriton>> = {
    triton: exportTriton,
    kserve: exportKserve,
    mlserver: exportMlserver,
  }
  return writers[request.target](request, name)
}

async function exportTriton(request: ExportRequest, name: string): Promise<readonly string[]> {
  const { backend, gpu, instances, threads, version, maxBatch } = request
  const folder = resolve(request.folder, name)
  const builds = backend === 'tensorrt'
  // Triton reads folders with numbers only: the source of a plan stays out of its sight.
  const into = join(folder, builds ? 'source' : String(version))
  await makeFolder(into)
  const file = join(into, 'model.onnx')
  const bindings = await writeLoweredFile(request, file)
  const batching = batchingOf(name, bindings, maxBatch)
  const model = { name, backend, bindings, maxBatchSize: batching.maxBatchSize, instances, gpu: gpu || builds, threads }
  const config = join(folder, 'config.pbtxt')
  const readme = join(folder, 'README.md')
  await replaceFile(config, tritonConfig(model))
  await replaceFile(readme, tritonReadme({ ...model, version, batching, profiles: listedProfiles(request.options) }))
  if (builds) await makeFolder(join(folder, String(version)))
  return [file, config, readme]
}

async function exportKserve(request: ExportRequest, name: string): Promise<readonly string[]> {
  const file = await writeModelFile(request, name)
  const scripts = {
    'serve.py': kserveScript,
    'onnx_types.py': typesScript,
    'requirements.txt': 'kserve>=0.16\nonnxruntime\n',
  }
  return [file, ...(await writeFiles(resolve(request.folder), scripts))]
}

async function exportMlserver(request: ExportRequest, name: string): Promise<readonly string[]> {
  const file = await writeModelFile(request, name)
  const settings = {
    name,
    implementation: 'onnx_model.OnnxModel',
    parameters: { uri: './model.onnx', version: String(request.version) },
  }
  const scripts = {
    'model-settings.json': `${JSON.stringify(settings, null, 2)}\n`,
    'onnx_model.py': mlserverScript,
    'onnx_types.py': typesScript,
    'requirements.txt': 'mlserver>=1.7\nonnxruntime\n',
  }
  return [file, ...(await writeFiles(resolve(request.folder, name), scripts))]
}

async function writeModelFile(request: ExportRequest, name: string): Promise<string> {
  const folder = resolve(request.folder, name)
  await makeFolder(folder)
  const file = join(folder, 'model.onnx')
  await writeLoweredFile(request, file)
  return file
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const there = new Set(await readdir(folder))
  const paths: string[] = []
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name)
    // Users change these scripts: only what is missing is written.
    if (!there.has(name)) await replaceFile(path, text)
    paths.push(path)
  }
  return paths
}
