import { loadAddon } from '../../../native/load-addon.ts'

// Entry of a child process: prints what the library in argv[2] says of itself and this machine, as JSON.
const loaded = loadAddon('openvino')
if ('reason' in loaded) throw new Error(loaded.reason)
process.stdout.write(JSON.stringify(await loaded.addon.probe(process.argv[2] ?? '')))
