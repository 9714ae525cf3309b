import { OnnxEngineError } from '../../../runtime/errors.ts'
import type { RemoteStore } from '../../options/remote-types.ts'
import { refuseUnstored, sendRequest, storedBody } from './request.ts'

/** A server that keeps files by URL. */
export interface HttpStoreOptions {
  /** Where an entry is, with `{key}` for its key: `https://host/v8/artifacts/{key}?slug=team`. */
  readonly url: string
  /** Bearer token to read with. */
  readonly token?: string | undefined
  /** Bearer token to write with. Without it the store is only read. */
  readonly writeToken?: string | undefined
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A store over HTTP: Turborepo's and Nx's cache servers, WebDAV, and any server with GET and PUT. Throws
 * OPTION_INVALID.
 */
export function http({ url, token, writeToken, headers = {} }: HttpStoreOptions): RemoteStore {
  if (!/^https?:\/\//.test(url) || !url.includes('{key}')) {
    throw new OnnxEngineError('OPTION_INVALID', 'http() of unplugin-onnx/cache: url', {
      expected: 'an http: or https: URL with {key}',
      received: JSON.stringify(url.replace(/\/\/[^/@]*@/, '//')),
    })
  }
  const place = (key: string) => url.replaceAll('{key}', key)
  const withToken = (bearer: string | undefined) => ({
    ...headers,
    ...(bearer && { authorization: `Bearer ${bearer}` }),
  })
  return {
    async get(key, { signal }) {
      const reader = token ?? writeToken
      return storedBody(await sendRequest({ method: 'GET', url: place(key), headers: withToken(reader), signal }))
    },
    ...(writeToken !== undefined && {
      async put(key: string, file: string, { signal }: { readonly signal: AbortSignal }) {
        const type = { 'content-type': 'application/octet-stream' }
        const all = { ...withToken(writeToken), ...type }
        refuseUnstored(await sendRequest({ method: 'PUT', url: place(key), headers: all, signal, file }))
      },
    }),
  }
}
