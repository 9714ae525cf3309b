import { OnnxEngineError, textOf } from '../../../runtime/errors.ts'
import type { RemoteStore } from '../../options/remote-types.ts'
import { refuseUnstored, sendRequest, storedBody } from './request.ts'

/** A bucket of S3, or of a server that speaks its protocol. */
export interface S3StoreOptions {
  /** Such as `https://s3.eu-central-1.amazonaws.com`; the bucket becomes part of the path. */
  readonly endpoint: string
  readonly bucket: string
  /** Put before each key, such as `onnx/`. */
  readonly prefix?: string
  readonly region?: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  /** Whether to write. Default false. */
  readonly write?: boolean
}

/** A store in a bucket, by the optional package `aws4fetch`. An entry is written once: another writer's stays. */
export function s3(options: S3StoreOptions): RemoteStore {
  const { endpoint, bucket, prefix = '', write = false } = options
  const place = (key: string) => `${endpoint.replace(/\/$/, '')}/${bucket}/${prefix}${key}`
  return {
    async get(key, { signal }) {
      const { url, headers } = await signed(options, 'GET', place(key), {})
      return storedBody(await sendRequest({ method: 'GET', url, headers, signal }))
    },
    ...(write && {
      async put(key: string, file: string, { signal }: { readonly signal: AbortSignal }) {
        const { url, headers } = await signed(options, 'PUT', place(key), { 'if-none-match': '*' })
        refuseUnstored(await sendRequest({ method: 'PUT', url, headers, signal, file }))
      },
    }),
  }
}

type Headers = Readonly<Record<string, string>>

async function signed(
  { accessKeyId, secretAccessKey, sessionToken, region }: S3StoreOptions,
  method: string,
  url: string,
  headers: Headers,
) {
  const { AwsClient } = await loadAws()
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey,
    service: 's3',
    region: region ?? 'us-east-1',
    ...(sessionToken !== undefined && { sessionToken }),
  })
  // The body is not part of the signature: the entry inside has its own.
  const request = await client.sign(url, { method, headers })
  return { url: request.url, headers: Object.fromEntries(request.headers) }
}

async function loadAws(): Promise<typeof import('aws4fetch')> {
  try {
    return await import('aws4fetch')
  } catch (cause) {
    throw new OnnxEngineError('OPTION_INVALID', 's3() of unplugin-onnx/cache', {
      expected: 'the package aws4fetch',
      received: textOf(cause),
      hint: 'Add it to the devDependencies.',
      cause,
    })
  }
}
