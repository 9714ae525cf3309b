import type { Facts } from './key.ts'

/**
 * What differs between two keys, in words for the line that the build prints: 'weights changed', 'external data
 * changed: w.bin', 'shapes changed: x 1x3x48x320 -> 1x3x48x640', 'ONNX Runtime 1.30.0 -> 1.31.0'. A fact that has no
 * words appears by its name. 'nothing changed' when the facts are equal.
 */
export function explain(before: Facts, after: Facts): string {
  const named = new Set([...Object.keys(labels), ...Object.keys(before), ...Object.keys(after)])
  const phrases = [...named]
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => (name === 'model' ? describeModel(before, after) : describe(name, before[name], after[name])))
    .filter((phrase) => phrase !== undefined)
  return phrases.length > 0 ? phrases.join(', ') : 'nothing changed'
}

type Fact = Facts[string] | undefined

/** Fact name -> words, in the order that matters to a user. `null`: another fact says it. */
const labels: Readonly<Record<string, string | null>> = {
  schema: 'cache format',
  model: 'model',
  graph: null,
  external: 'external data',
  converted: 'source',
  command: 'command',
  inputs: 'inputs of the program',
  program: 'program',
  names: 'names',
  shapes: 'shapes',
  passes: 'passes',
  profiles: 'profiles',
  engine: 'precision',
  precision: 'precision',
  backend: 'backend',
  level: 'optimization level',
  format: 'engine format',
  layout: 'CPU layout',
  vnni: 'VNNI',
  provider: 'execution provider',
  bounds: 'shape bounds',
  properties: 'properties',
  onnxruntime: 'ONNX Runtime',
  openvino: 'OpenVINO',
  tensorrt: 'TensorRT',
  'tensorrt-rtx': 'TensorRT-RTX',
  parser: 'ONNX parser',
  cuda: 'CUDA',
  driver: 'driver',
  gpu: 'GPU',
  computeCapability: 'compute capability',
  multiprocessors: 'multiprocessors',
  l2Bytes: 'L2 cache',
  memoryBusBits: 'memory bus',
  memoryGiB: 'GPU memory',
  targets: 'targets',
  flags: 'builder flags',
  builderOptimizationLevel: 'builder optimization level',
  maxAuxStreams: 'auxiliary streams',
  workspace: 'workspace limit',
  profilingVerbosity: 'profiling verbosity',
  addon: 'native addon',
  libraryBytes: 'size of the library',
  hardwareCompatibility: 'hardware compatibility',
  device: 'device',
  deviceName: 'device',
  runtimeRequirements: 'instruction set',
  arch: 'CPU architecture',
  platform: 'platform',
}

function describeModel(before: Facts, after: Facts): string {
  return before['graph'] === after['graph'] ? 'weights changed' : 'graph changed'
}

function describe(name: string, before: Fact, after: Fact): string | undefined {
  const label = Object.hasOwn(labels, name) ? labels[name] : plain(name)
  if (label === null || label === undefined) return undefined
  if (isList(before) || isList(after)) return `${label} changed: ${describeItems(items(before), items(after))}`
  return isDigest(before) || isDigest(after) ? `${label} changed` : `${label} ${show(before)} -> ${show(after)}`
}

/**
 * Items such as 'x=1x3x48x320' are compared by the name before '='; a list without names, or in another order, is shown
 * whole.
 */
function describeItems(before: readonly string[], after: readonly string[]): string {
  const [old, now] = [byName(before), byName(after)]
  const differences = [...new Set([...old.keys(), ...now.keys()])]
    .filter((name) => old.get(name) !== now.get(name))
    .map((name) => describeItem(name, old.get(name), now.get(name)))
  return differences.length > 0 ? differences.join('; ') : `${show(before)} -> ${show(after)}`
}

function describeItem(name: string, before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `${plain(name)} added${after && !isDigest(after) ? ` (${plain(after)})` : ''}`
  if (after === undefined) return `${plain(name)} removed${before && !isDigest(before) ? ` (${plain(before)})` : ''}`
  return isDigest(before) ? plain(name) : `${plain(name)} ${plain(before)} -> ${plain(after)}`
}

// Values never hold '=', except the JSON of a pass, which starts at the first one; names of inputs may hold anything.
function byName(list: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    list.map((item) => {
      const at = item.endsWith('}') ? item.indexOf('={') : item.lastIndexOf('=')
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)]
    }),
  )
}

function isList(fact: Fact): fact is readonly string[] | readonly number[] {
  return typeof fact === 'object'
}

function items(fact: Fact): readonly string[] {
  if (fact === undefined) return []
  return isList(fact) ? fact.map(String) : [String(fact)]
}

function isDigest(fact: Fact): boolean {
  return typeof fact === 'string' && /^[0-9a-f]{64}$/.test(fact)
}

function show(fact: Fact): string {
  return plain(items(fact).join(', ')) || 'none'
}

// Names come from models, which may be hostile: one line, of a length that a terminal can show.
function plain(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
  return line.length > 120 ? `${line.slice(0, 117)}...` : line
}
