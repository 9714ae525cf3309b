import { dtypes } from './dtype.ts'
import type { BackendName } from './manifest.ts'
import { quote } from './text.ts'

type Schema =
  | { readonly text: string; readonly accepts: (value: unknown) => boolean }
  | { readonly each: Schema }
  | { readonly values: Schema }
  | { readonly keys: Readonly<Record<string, Schema>> }
  | { readonly choose: (value: object) => Schema }

const text: Schema = { text: 'text', accepts: (value) => typeof value === 'string' }
const object: Schema = { keys: {} }
const optionalTrue: Schema = { text: 'true or nothing', accepts: (value) => value === undefined || value === true }

const bindingSchema: Schema = {
  keys: {
    name: text,
    dtype: {
      text: 'a dtype',
      accepts: (value) => typeof value === 'string' && Object.hasOwn(dtypes, value) && isBinding(value),
    },
    dims: {
      text: 'dims (a list of numbers, names and nulls) or null',
      accepts: (value) => value === null || (Array.isArray(value) && value.every(isDim)),
    },
    optional: optionalTrue,
    default: {
      text: 'dims and data in base64, or nothing',
      accepts: (value) => value === undefined || isDefault(value),
    },
  },
}

const machine = { platform: text, arch: text }

const requirements: Readonly<Record<BackendName, Schema>> = {
  onnxruntime: {
    keys: {
      version: text,
      arch: text,
      layout: { text: '0, 8 or 16', accepts: (value) => value === 0 || value === 8 || value === 16 },
      vnni: optionalTrue,
    },
  },
  openvino: {
    keys: { version: text, device: text, arch: text, runtimeRequirements: text, properties: { values: text } },
  },
  'tensorrt-rtx': { keys: { version: text, targets: { each: text }, ...machine } },
  tensorrt: {
    keys: {
      version: text,
      gpu: text,
      computeCapability: text,
      driver: text,
      versionCompatible: optionalTrue,
      ...machine,
    },
  },
  wasm: { keys: { version: text } },
  webgpu: { keys: { version: text, shaderF16: optionalTrue } },
}

const variantKeys: Readonly<Record<string, Schema>> = {
  backend: text,
  engine: text,
  file: text,
  size: { text: 'a number of bytes', accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 },
  sha256: { text: '64 hex digits', accepts: (value) => typeof value === 'string' && /^[\da-f]{64}$/.test(value) },
  requires: object,
}

const manifestSchema: Schema = {
  keys: {
    schema: { text: '1', accepts: (value) => value === 1 },
    name: text,
    bindings: { keys: { inputs: { each: bindingSchema }, outputs: { each: bindingSchema } } },
    variants: { each: { choose: (variant) => withRequirements(variant) } },
    server: { text: 'a server with a url and what is tried first, or nothing', accepts: isServer },
  },
}

// The URL itself is checked when the server is connected to: that code is not loaded before.
function isServer(value: unknown): boolean {
  if (value === undefined) return true
  if (typeof value !== 'object' || value === null || !('url' in value) || !('first' in value)) return false
  return value.first === 'local' || value.first === 'remote'
}

/** The first mistake in a manifest that was read from a file; undefined when there is none. */
export function manifestMistake(manifest: unknown): Mistake | undefined {
  return mistakeIn(manifest, manifestSchema, 'the manifest')
}

export interface Mistake {
  readonly expected: string
  readonly received: string
}

// A later version may have backends that this one does not know: load() skips their variants.
function withRequirements(variant: object): Schema {
  const backend = 'backend' in variant && typeof variant.backend === 'string' ? variant.backend : ''
  if (!Object.hasOwn(requirements, backend)) return { keys: variantKeys }
  return { keys: { ...variantKeys, requires: requirements[backend as BackendName] } }
}

function mistakeIn(value: unknown, schema: Schema, subject: string): Mistake | undefined {
  if ('accepts' in schema)
    return schema.accepts(value)
      ? undefined
      : { expected: `${subject} to be ${schema.text}`, received: jsonText(value) }
  if ('each' in schema) {
    if (!Array.isArray(value)) return { expected: `${subject} to be a list`, received: typeof value }
    return firstMistake(value.entries(), ([index, item]) => mistakeIn(item, schema.each, `${subject}[${index}]`))
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { expected: `${subject} to be an object`, received: kindOf(value) }
  if ('choose' in schema) return mistakeIn(value, schema.choose(value), subject)
  if ('values' in schema)
    return firstMistake(Object.entries(value), ([key, item]) =>
      mistakeIn(item, schema.values, `${subject}[${quote(key)}]`),
    )
  const record = value as Readonly<Record<string, unknown>>
  return firstMistake(Object.entries(schema.keys), ([key, inner]) =>
    mistakeIn(Object.hasOwn(record, key) ? record[key] : undefined, inner, `${subject}.${key}`),
  )
}

function firstMistake<T>(items: Iterable<T>, check: (item: T) => Mistake | undefined): Mistake | undefined {
  for (const item of items) {
    const mistake = check(item)
    if (mistake) return mistake
  }
  return undefined
}

function jsonText(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing'
  return typeof value === 'string' ? quote(value) : shorten(json)
}

function shorten(json: string): string {
  return json.length > 80 ? `${json.slice(0, 80)}...` : json
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : typeof value
}

function isBinding(dtype: string): boolean {
  return dtypes[dtype as keyof typeof dtypes].array !== null
}

function isDefault(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('dims' in value) || !('data' in value)) return false
  const { dims, data } = value
  const areDims = Array.isArray(dims) && dims.every((dim) => Number.isSafeInteger(dim) && Number(dim) >= 0)
  return areDims && typeof data === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(data)
}

function isDim(dim: unknown): boolean {
  return dim === null || typeof dim === 'string' || (Number.isSafeInteger(dim) && Number(dim) >= 0)
}
