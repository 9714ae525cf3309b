import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { lightNets, once, repository, systemPython, vendorFolder } from '../support/python.ts'

/** A net that a package ships, and the dims to build it for. */
export interface Net {
  readonly title: string
  readonly what: string
  readonly file: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
}

interface Package {
  readonly from: 'pip' | 'npm'
  readonly package: string
  readonly version: string
  readonly what: string
  readonly nets: readonly { readonly file: string; readonly shapes: Net['shapes'] }[]
}

const run = promisify(execFile)

/** By name: a benchmark is compiled into a folder of its own. */
const scripts = join(repository, 'test', 'nets')

/** The nets of nets.json and the light nets of the ONNX library. Packages are fetched once, by name and version. */
export async function allNets(): Promise<readonly Net[]> {
  const packages = JSON.parse(readFileSync(join(scripts, 'nets.json'), 'utf8')) as Package[]
  const nets: Net[] = []
  for (const entry of packages) {
    const folder = await fetchPackage(entry)
    for (const { file, shapes } of entry.nets) {
      const title = `${entry.package} ${entry.version}: ${file.split('/').at(-1)!.replace('.onnx', '')}`
      nets.push({ title, what: entry.what, file: join(folder, file), shapes })
    }
  }
  const light = await lightNets()
  for (const name of readdirSync(light)
    .filter((file) => file.endsWith('.onnx'))
    .sort())
    nets.push({ title: `onnx: ${name.replace('.onnx', '')}`, what: 'images', file: join(light, name), shapes: {} })
  return nets
}

async function fetchPackage({ from, package: name, version }: Package): Promise<string> {
  const folder = join(vendorFolder, 'nets', `${name.replace(/\W+/g, '-')}-${version}`)
  mkdirSync(join(vendorFolder, 'nets'), { recursive: true })
  await once(folder, async () => {
    const downloads = mkdtempSync(join(vendorFolder, 'nets', 'download-'))
    if (from === 'npm') await run('npm', ['pack', '--silent', '--pack-destination', downloads, `${name}@${version}`])
    else await run(await systemPython(), pipArguments(`${name}==${version}`, downloads))
    mkdirSync(folder, { recursive: true })
    const [archive = ''] = readdirSync(downloads)
    await run(await systemPython(), [join(scripts, 'unpack.py'), join(downloads, archive), folder])
    rmSync(downloads, { recursive: true })
  })
  return folder
}

function pipArguments(requirement: string, into: string): string[] {
  return ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '-d', into, requirement]
}
