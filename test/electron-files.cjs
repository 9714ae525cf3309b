// Stands in for the file system of Electron's main process, which reads files inside an asar archive as if it were a folder: open() gives a
// copy of the packed file. Runs the CommonJS file of the archive that the second argument names, and prints which files it was asked for.
const fs = require('node:fs')
const Module = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { extractFile } = require('@electron/asar')

const [, , archive, main] = process.argv
const opened = []
const { open } = fs.promises

fs.promises.open = async (file, ...rest) => {
  const inside = path.relative(archive, String(file))
  if (inside.startsWith('..') || path.isAbsolute(inside)) return open(file, ...rest)
  opened.push(inside.replaceAll('\\', '/'))
  const copy = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'asar-')), 'file')
  fs.writeFileSync(copy, extractFile(archive, inside))
  const handle = await open(copy, ...rest)
  fs.rmSync(path.dirname(copy), { recursive: true, force: process.platform === 'win32' })
  return handle
}
Module.syncBuiltinESMExports()
process.on('exit', () => console.error(JSON.stringify(opened)))

const module_ = new Module(path.join(archive, main))
module_.filename = path.join(archive, main)
module_.paths = Module._nodeModulePaths(path.dirname(module_.filename))
module_._compile(extractFile(archive, main).toString('utf8'), module_.filename)
