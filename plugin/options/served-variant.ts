import * as v from 'valibot'
import { backendNames, type BackendName, type ManifestServer } from '../../runtime/manifest.ts'
import type { BackendEntry, ServedVariant } from './served-types.ts'
import { oneOf, section, type SchemasOf } from './validators.ts'

const url = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value } = dataset
    const parsed = URL.canParse(value) ? new URL(value) : undefined
    const isServer = parsed && /^(?:grpcs?|https?):$/.test(parsed.protocol) && parsed.host !== ''
    // The manifest is shipped with the app, and messages end up in logs: neither may hold a password.
    const input = value.replace(/\/\/.*@/, '//...@')
    if (!isServer) addIssue({ message: 'a URL of grpc://, grpcs://, http:// or https://', input })
    else if (parsed.username !== '' || parsed.password !== '')
      addIssue({ message: 'a URL without a user name; give credentials at load, in remote.headers', input })
  }),
)
const urls = v.pipe(
  v.array(url),
  v.check((list) => list.length > 0, 'at least one URL'),
)
const name = v.pipe(
  v.string(),
  v.check((text) => text !== '', 'a name'),
)
const server = section({
  remote: v.lazy((input) => (Array.isArray(input) ? urls : url)),
  model: v.optional(name),
  version: v.optional(name),
} satisfies SchemasOf<ServedVariant>)

/** An item of the option `backends`. */
export const backendEntry: v.GenericSchema<BackendEntry> = v.lazy((input) =>
  typeof input === 'object' && input !== null ? server : oneOf(backendNames),
)

/** Whether the servers in a list are one entry, before the engines or after them. */
export function isOrdered(entries: readonly BackendEntry[]): boolean {
  const places = entries.flatMap((entry, index) => (typeof entry === 'string' ? [] : [index]))
  return places.length === 0 || (places.length === 1 && (places[0] === 0 || places[0] === entries.length - 1))
}

/** The backends that engines are compiled for. */
export function engineBackends(entries: readonly BackendEntry[]): readonly BackendName[] {
  return entries.filter((entry) => typeof entry === 'string')
}

/** The server that a list names, as the manifest has it; undefined when it names none. */
export function serverOf(entries: 'auto' | readonly BackendEntry[]): ManifestServer | undefined {
  if (entries === 'auto') return undefined
  const found = entries.find((entry) => typeof entry !== 'string')
  if (!found) return undefined
  const { remote, ...facts } = found
  return { url: remote, ...facts, first: found === entries[0] && entries.length > 1 ? 'remote' : 'local' }
}

/** What the output needs to call a server. */
export type ServerScheme = 'grpc' | 'http'

export function schemeOf(manifest: ManifestServer): ServerScheme {
  return [manifest.url].flat().some((text) => text.startsWith('grpc')) ? 'grpc' : 'http'
}
