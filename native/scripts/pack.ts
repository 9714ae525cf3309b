// `npm run pack:native [folder]`: writes this platform's packages, ready for `npm publish`. They have no install
// scripts: npm chooses them by os, cpu and libc.
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { openvinoCpuRuntime, openvinoVersion, openvinoWheels } from '../openvino-wheels.ts'
import { nativePlatforms, platformFields, platformName, type NativePlatform } from '../platform.ts'
import { fetchWheel } from '../wheel.ts'
import { unpackZip } from '../zip.ts'
import { root } from './vendor.ts'

const platform = nativePlatforms.find((name) => name === platformName())
if (platform === undefined) throw new Error(`unplugin-onnx has no native packages for ${platformName()}`)
const out = path.resolve(process.argv[2] ?? path.join(root, 'native', 'build', 'packages'))
const { version, license } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  version: string
  license: string
}
mkdirSync(out, { recursive: true })

packAddons(platform, path.join(out, `native-${platform}`))
await packOpenVino(platform, path.join(out, `openvino-${platform}`))

/** The addons, with one function for each, so that none is loaded before it is used. */
function packAddons(platform: NativePlatform, folder: string): void {
  const built = path.join(root, 'native', 'build', 'Release')
  const addons = readdirSync(built).filter((file) => file.endsWith('.node'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const file of addons) copyFileSync(path.join(built, file), path.join(folder, file))
  copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
  const lines = addons.map(
    (file) => `exports[${JSON.stringify(path.parse(file).name)}] = () => require(${JSON.stringify(`./${file}`)})`,
  )
  writeFileSync(path.join(folder, 'index.cjs'), `${lines.join('\n')}\n`)
  writeManifest(platform, folder, {
    name: `@unplugin-onnx/native-${platform}`,
    version,
    description: `Native addons of unplugin-onnx for ${platform}`,
    license,
    main: './index.cjs',
  })
}

/** The part of OpenVINO that runs blobs on the CPU. */
async function packOpenVino(platform: NativePlatform, folder: string): Promise<void> {
  const wheel = openvinoWheels[platform]
  if (!wheel) return
  const file = await fetchWheel(wheel, { downloads: path.join(root, '.vendor', 'downloads') })
  rmSync(folder, { recursive: true, force: true })
  await unpackZip(file, folder, openvinoCpuRuntime)
  chmodSync(folder, 0o755)
  const description = `OpenVINO's runtime for CPUs, for unplugin-onnx on ${platform}`
  writeManifest(platform, folder, {
    name: `@unplugin-onnx/openvino-${platform}`,
    version: openvinoVersion,
    description,
    license: 'Apache-2.0',
  })
}

function writeManifest(platform: NativePlatform, folder: string, fields: Readonly<Record<string, unknown>>): void {
  // npm checks the provenance against the repository that the workflow runs in.
  const from = process.env['GITHUB_REPOSITORY']
  const origin = from === undefined ? {} : { repository: { type: 'git', url: `git+https://github.com/${from}.git` } }
  writeFileSync(
    path.join(folder, 'package.json'),
    `${JSON.stringify({ ...fields, ...origin, ...platformFields(platform) }, null, 2)}\n`,
  )
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
    statSync(path.join(folder, name)),
  )
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  process.stdout.write(`${folder}: ${(bytes / 1e6).toFixed(1)} MB\n`)
}
