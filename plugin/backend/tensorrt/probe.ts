import { loadAddon } from '../../../native/load-addon.ts'
import { tensorrtFamilies } from '../../../native/tensorrt-wheels.ts'

// Asks a library for its version, and the driver for its GPUs, in a process of its own, and prints them as JSON. Which
// family the library is of shows only then, and every addon can ask.
const [, , library = '', parser = ''] = process.argv
const loaded = loadAddon(tensorrtFamilies[0].addon)
if ('reason' in loaded) throw new Error(loaded.reason)
const versions = await loaded.addon.versions(library, parser)
process.stdout.write(JSON.stringify({ ...versions, driver: await loaded.addon.gpus() }))
