// Stands in for Electron's rules of files (lib/node/asar-fs-wrapper.ts), where the app needs them: a path inside an
// asar archive leads to the file beside the archive if it was unpacked, else to a copy of the packed file; so do the
// paths of native modules. Runs the CommonJS file of the archive that the second argument names, and prints what was
// read from inside the archive.
const fs = require('node:fs')
const Module = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { extractFile, statFile } = require('@electron/asar')

const [, , archive, main] = process.argv
const inside = []

const { open } = fs.promises
fs.promises.open = async (file, ...rest) => open(real(String(file)), ...rest)
const { existsSync } = fs
fs.existsSync = (file) => (entryOf(String(file)) === undefined ? existsSync(file) : stat(String(file)) !== undefined)
Module.syncBuiltinESMExports()

const { dlopen } = process
process.dlopen = (module, file, ...rest) => dlopen.call(process, module, real(file), ...rest)
const { _resolveFilename: resolve } = Module
Module._resolveFilename = (request, ...rest) =>
  path.isAbsolute(request) && stat(request) !== undefined ? request : resolve.call(Module, request, ...rest)
process.on('exit', () => console.error(JSON.stringify(inside)))

const module_ = new Module(path.join(archive, main))
module_.filename = path.join(archive, main)
module_.paths = Module._nodeModulePaths(path.dirname(path.join(`${archive}.unpacked`, main)))
module_._compile(extractFile(archive, main).toString('utf8'), module_.filename)

function real(file) {
  const entry = entryOf(file)
  if (entry === undefined) return file
  if (stat(file)?.unpacked) return path.join(`${archive}.unpacked`, entry)
  inside.push(entry.replaceAll('\\', '/'))
  const copy = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'asar-')), path.basename(file))
  fs.writeFileSync(copy, extractFile(archive, entry))
  process.on('exit', () => fs.rmSync(path.dirname(copy), { recursive: true, force: true, maxRetries: 2 }))
  return copy
}

function stat(file) {
  const entry = entryOf(file)
  try {
    return entry === undefined ? undefined : statFile(archive, entry)
  } catch {
    return undefined
  }
}

function entryOf(file) {
  const entry = path.relative(archive, file)
  return entry === '' || entry.startsWith('..') || path.isAbsolute(entry) ? undefined : entry
}
