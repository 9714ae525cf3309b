import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { olderRtxWheels, tensorrtRtxLibrary, tensorrtRtxWheels } from '../tensorrt-wheels.ts'
import { fetchWheel, unpackWheel, type Wheel } from '../wheel.ts'

// One crate of the Rust bindings contains the headers of all releases that we build for.
const crate = {
  name: 'trtx-sys',
  version: '0.9.1+rtx1.7',
  sha256: '5480ee056292951daa1bc74532162d6cb75190f091e45d7d97c0c356916ae171',
} as const

// Only the headers are used, and they are the same on every platform.
const cuda = { version: '13.5.37', python: '3.11', platform: 'manylinux2014_x86_64' } as const
const cudaWheels: readonly Wheel[] = [
  { ...cuda, name: 'nvidia-cuda-runtime', sha256: 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d' },
  { ...cuda, name: 'nvidia-nvml-dev', sha256: '7394fcbefa9ba537e8238cbb1caa4cd2db6bbfbff208d217a8a884947113ae6d' },
]

/**
 * Fetches what is missing in `vendor`: the headers that the TensorRT addons are compiled with, and the TensorRT-RTX
 * libraries that tests build engines with. Returns definitions for CMake.
 */
export async function fetchTensorRt(vendor: string): Promise<Readonly<Record<string, string>>> {
  const headers = path.join(vendor, `tensorrt-headers-${crate.version}`)
  if (!existsSync(headers)) fetchCrate(headers)
  const cudaHeaders = path.join(vendor, `cuda-headers-${cuda.version}`)
  for (const wheel of cudaWheels) {
    await fetchInto(
      vendor,
      wheel,
      path.join(cudaHeaders, wheel.name),
      (entry) => /^nvidia\/cu13\/include\/(cuda\.h|nvml\.h)$/.exec(entry)?.[1],
    )
  }
  for (const wheel of testedWheels())
    await fetchInto(vendor, wheel, rtxFolder(vendor, wheel.version), tensorrtRtxLibrary)
  return {
    TENSORRT_HEADERS: headers,
    CUDA_HEADERS: cudaWheels.map(({ name }) => path.join(cudaHeaders, name)).join(';'),
  }
}

/** The folder for a release of TensorRT-RTX in `vendor`. */
function rtxFolder(vendor: string, version: string): string {
  return path.join(vendor, `tensorrt-rtx-${version}`)
}

function testedWheels(): readonly Wheel[] {
  const machine = `${process.platform}-${process.arch}`
  const newest = process.env['TENSORRT_RTX_ROOT'] ? undefined : tensorrtRtxWheels[machine]
  return [...(newest ? [newest] : []), ...(machine === 'linux-x64' ? olderRtxWheels : [])]
}

async function fetchInto(
  vendor: string,
  wheel: Wheel,
  folder: string,
  place: (entry: string) => string | undefined,
): Promise<void> {
  if (existsSync(folder)) return
  await unpackWheel(await fetchWheel(wheel, { downloads: path.join(vendor, 'downloads') }), folder, place)
}

// Cargo has no command that fetches a single crate. It fetches the dependencies of a temporary package instead, which
// are this crate only.
function fetchCrate(folder: string): void {
  const temporary = mkdtempSync(path.join(tmpdir(), 'unplugin-onnx-crate-'))
  try {
    mkdirSync(path.join(temporary, 'src'))
    writeFileSync(path.join(temporary, 'src', 'lib.rs'), '')
    const dependency = `${crate.name} = { version = "=${crate.version}", default-features = false }`
    writeFileSync(
      path.join(temporary, 'Cargo.toml'),
      `[package]\nname = "headers"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n${dependency}\n`,
    )
    execFileSync('cargo', ['fetch', '--quiet'], { cwd: temporary, stdio: 'inherit' })
    execFileSync('tar', ['-xzf', downloadedCrate(), '-C', temporary])
    mkdirSync(path.dirname(folder), { recursive: true })
    renameSync(path.join(temporary, `${crate.name}-${crate.version}`, 'TensorRT-Headers'), folder)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

function downloadedCrate(): string {
  const home = process.env['CARGO_HOME'] || path.join(homedir(), '.cargo')
  const name = `${crate.name}-${crate.version}.crate`
  for (const registry of readdirSync(path.join(home, 'registry', 'cache'))) {
    const file = path.join(home, 'registry', 'cache', registry, name)
    if (existsSync(file) && createHash('sha256').update(readFileSync(file)).digest('hex') === crate.sha256) return file
  }
  throw new Error(`cargo fetched ${crate.name} ${crate.version}, but no file with SHA-256 ${crate.sha256}`)
}
