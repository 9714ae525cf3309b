// `npm run build:native`: compiles the addons into native/build/Release.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fetchVendored, root } from './vendor.ts'

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
const directories = ['--directory', path.join(root, 'native'), '--out', path.join(root, 'native', 'build')]
const definitions = Object.entries(await fetchVendored()).map(([name, value]) => `--CD${name}=${value}`)
execFileSync(process.execPath, [cmakeJs, 'compile', ...directories, ...definitions], { stdio: 'inherit' })
