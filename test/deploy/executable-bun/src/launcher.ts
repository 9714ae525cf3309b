import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

await import(pathToFileURL(join(dirname(process.execPath), 'main.js')).href)
