import { loadAddon } from '../../../native/load-addon.ts'

// Entry of a child process: prints the version and the devices of the library in argv[2] as JSON.
const loaded = loadAddon('openvino')
if ('reason' in loaded) throw new Error(loaded.reason)
process.stdout.write(JSON.stringify(await loaded.addon.probe(process.argv[2] ?? '')))
