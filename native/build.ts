// `npm run build:native`: fetches the pinned headers, and the libraries that tests use, into .vendor/ and compiles the addons.
// A user's own SDK wins where its variable is set.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { openvinoLibrary, openvinoVersion, openvinoWheels } from './openvino-wheels.ts'
import { fetchWheel, unpackWheel } from './wheel.ts'

const require = createRequire(import.meta.url)
const root = path.dirname(require.resolve('unplugin-onnx/package.json'))
const vendor = path.join(root, '.vendor')

const openvino = process.env['OPENVINO_ROOT'] ?? (await fetchOpenVino())
compile({ OPENVINO_HEADERS: headersIn(openvino) })

async function fetchOpenVino(): Promise<string> {
  const folder = path.join(vendor, `openvino-${openvinoVersion}`)
  if (existsSync(folder)) return folder
  const wheel = openvinoWheels[`${process.platform}-${process.arch}`]
  if (!wheel) throw new Error(`OpenVINO has no package for ${process.platform}-${process.arch}: set OPENVINO_ROOT to a build of your own`)
  const file = await fetchWheel(wheel, { downloads: path.join(vendor, 'downloads') })
  await unpackWheel(file, folder, (entry) => {
    const header = /^openvino\/(include\/openvino\/c\/.*)$/.exec(entry)?.[1]
    const library = openvinoLibrary(entry)
    return header ?? (library === undefined ? undefined : `libs/${library}`)
  })
  return folder
}

// The wheel has its headers in include/, an SDK archive in runtime/include/.
function headersIn(folder: string): string {
  const found = ['include', 'runtime/include'].map((part) => path.join(folder, part)).find((it) => existsSync(path.join(it, 'openvino/c')))
  if (!found) throw new Error(`${folder} holds no OpenVINO headers: include/openvino/c is missing`)
  return found
}

function compile(definitions: Readonly<Record<string, string>>): void {
  const directories = ['--directory', path.join(root, 'native'), '--out', path.join(root, 'native', 'build')]
  const defined = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`)
  execFileSync(process.execPath, [require.resolve('cmake-js/bin/cmake-js'), 'compile', ...directories, ...defined], { stdio: 'inherit' })
}
