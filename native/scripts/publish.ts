// `node dist/native/scripts/publish.js`: makes package.json ready for publishing, in a workflow's checkout: the native packages
// of the same version become optional dependencies, and the repository is named. They are not in package.json
// otherwise: until they are published, nothing could install them.
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
