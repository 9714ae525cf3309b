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
import { fetchArtifact } from '../maven.ts'
import { tensorrtLibrary, tensorrtReleases } from '../tensorrt-releases.ts'
import { olderRtxWheels, tensorrtRtxLibrary, tensorrtRtxWheels } from '../tensorrt-wheels.ts'
import { fetchWheel, type Wheel } from '../wheel.ts'
import { unpackZip } from '../zip.ts'

// The headers are in a crate of the Rust bindings, each release of which has those of other releases of TensorRT.
const crates: readonly Crate[] = [
  {
    name: 'trtx-sys',
    variable: 'TENSORRT_RTX_HEADERS',
    version: '0.9.1+rtx1.7',
    sha256: '5480ee056292951daa1bc74532162d6cb75190f091e45d7d97c0c356916ae171',
  },
  // 11.0: the oldest of TensorRT 11.
  {
    name: 'trtx-sys',
    variable: 'TENSORRT_11_HEADERS',
    version: '0.7.0+rtx1.5',
    sha256: 'a8d5bd851f47488f3f17b2b793a8a9f3a8dab462a7962347f204cae58f68a86e',
  },
  // 10.16: the newest of TensorRT 10.
  {
    name: 'trtx-sys',
    variable: 'TENSORRT_10_HEADERS',
    version: '0.5.0',
    sha256: '1efd9036abbd2775da5df4e49793ec8e656f026fb9c60dff7e95bda2d654e634',
  },
]

interface Crate {
  readonly name: string
  readonly version: string
  readonly sha256: string
  /** CMake's name for the folder. */
  readonly variable: string
}

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
  const headers = crates.map((crate) => {
    const folder = path.join(vendor, `tensorrt-headers-${crate.version}`)
    if (!existsSync(folder)) fetchCrate(crate, folder)
    return [crate.variable, folder] as const
  })
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
  await fetchReleases(vendor)
  return {
    ...Object.fromEntries(headers),
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

// TensorRT's libraries, which tests open. The jars, half a gigabyte and more, are removed once they are unpacked.
async function fetchReleases(vendor: string): Promise<void> {
  if (`${process.platform}-${process.arch}` !== 'linux-x64') return
  const repository = path.join(vendor, 'downloads', 'maven')
  for (const { version, artifact } of tensorrtReleases) {
    const folder = path.join(vendor, `tensorrt-${version}`)
    if (existsSync(folder)) continue
    try {
      const jar = await fetchArtifact(artifact, { repository })
      await unpackZip(jar, folder, (entry) => tensorrtLibrary(entry, false))
      rmSync(jar)
    } catch (error) {
      if (process.env['CI'] === 'true') throw error
      console.error(`tests with TensorRT ${version} are skipped: ${error instanceof Error ? error.message : error}`)
    }
  }
}

async function fetchInto(
  vendor: string,
  wheel: Wheel,
  folder: string,
  place: (entry: string) => string | undefined,
): Promise<void> {
  if (existsSync(folder)) return
  await unpackZip(await fetchWheel(wheel, { downloads: path.join(vendor, 'downloads') }), folder, place)
}

// Cargo has no command that fetches a single crate, so a package that depends on it alone is resolved in a temporary
// folder.
function fetchCrate(crate: Crate, folder: string): void {
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
    execFileSync('tar', ['-xzf', downloadedCrate(crate), '-C', temporary])
    mkdirSync(path.dirname(folder), { recursive: true })
    renameSync(path.join(temporary, `${crate.name}-${crate.version}`, 'TensorRT-Headers'), folder)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

function downloadedCrate(crate: Crate): string {
  const home = process.env['CARGO_HOME'] || path.join(homedir(), '.cargo')
  const name = `${crate.name}-${crate.version}.crate`
  for (const registry of readdirSync(path.join(home, 'registry', 'cache'))) {
    const file = path.join(home, 'registry', 'cache', registry, name)
    if (existsSync(file) && createHash('sha256').update(readFileSync(file)).digest('hex') === crate.sha256) return file
  }
  throw new Error(`cargo fetched ${crate.name} ${crate.version}, but no file with SHA-256 ${crate.sha256}`)
}
