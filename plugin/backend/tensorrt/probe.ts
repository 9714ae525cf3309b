import { loadAddon } from '../../../native/load-addon.ts'
import { type TensorRtFlavour, tensorrtFamilies, tensorrtFamily } from '../../../native/tensorrt-wheels.ts'

// Asks a library for its version and the driver for its GPUs, in a process of its own, and prints them as JSON. The
// family of the library is known only then, and every addon can ask. Plugins are loaded by the addon of their family:
// they get a logger of ours, and its ABI changed between TensorRT 10 and 11.
const [, , library = '', flavour = '', parser = '', plugins = ''] = process.argv
const loaded = loadAddon(tensorrtFamilies[0].addon)
if ('reason' in loaded) throw new Error(loaded.reason)
const versions = await loaded.addon.versions(library, parser)
const family = tensorrtFamily(flavour as TensorRtFlavour, versions.version)
const own = family && plugins !== '' ? loadAddon(family.addon) : undefined
if (own && 'addon' in own) await own.addon.plugins(library, plugins)
process.stdout.write(JSON.stringify({ ...versions, driver: await loaded.addon.gpus() }))
