// `node dist/native/scripts/publish.js`: prepares package.json for publishing, in the checkout of a workflow. Adds the
// repository, and the native packages of the same version as optional dependencies. They are not there otherwise,
// because nothing could install them before they are published.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { nativePlatforms } from '../platform.ts'
import { root } from './vendor.ts'

const file = path.join(root, 'package.json')
const manifest = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
const repository = process.env['GITHUB_REPOSITORY']
const optionalDependencies = Object.fromEntries(
  nativePlatforms.map((name) => [`@unplugin-onnx/native-${name}`, manifest.version]),
)
const origin =
  repository === undefined ? {} : { repository: { type: 'git', url: `git+https://github.com/${repository}.git` } }
writeFileSync(file, `${JSON.stringify({ ...manifest, ...origin, optionalDependencies }, null, 2)}\n`)
