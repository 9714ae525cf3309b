import { createHmac, createPublicKey, sign as signBytes, timingSafeEqual, verify as verifyBytes } from 'node:crypto'
import type { RemoteCacheOptions } from '../../options/remote-types.ts'

/** Signs the heads of entries, and verifies their signatures. */
export interface Signer {
  /** Undefined when this machine has no key to sign with. */
  readonly sign: ((head: string) => string) | undefined
  verify(head: string, signature: string): boolean
}

// So that no signature of another use of the key is taken for one of an entry.
const purpose = 'unplugin-onnx cache entry 1\n'

/** The signer of the option `cache.remote`, which has a secret or a key. */
export function signerOf({ secret, publicKey, privateKey }: Omit<RemoteCacheOptions, 'store'>): Signer {
  if (secret !== undefined) return hmacSigner(secret)
  const verifier = createPublicKey(publicKey ?? privateKey ?? '')
  return {
    sign:
      privateKey === undefined
        ? undefined
        : (head) => signBytes(null, Buffer.from(purpose + head), privateKey).toString('base64'),
    verify: (head, signature) =>
      verifyBytes(null, Buffer.from(purpose + head), verifier, Buffer.from(signature, 'base64')),
  }
}

function hmacSigner(secret: string): Signer {
  const sign = (head: string) => createHmac('sha256', secret).update(purpose).update(head).digest('base64')
  return {
    sign,
    verify(head, signature) {
      const [own, given] = [Buffer.from(sign(head), 'base64'), Buffer.from(signature, 'base64')]
      return own.length === given.length && timingSafeEqual(own, given)
    },
  }
}
