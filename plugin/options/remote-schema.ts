import * as v from 'valibot'
import type { RemoteCacheOptions } from './remote-types.ts'

/** The option `cache.remote`: functions and keys, which are checked here once. */
export const remoteCache: v.GenericSchema<RemoteCacheOptions> = v.custom<RemoteCacheOptions>(
  isRemoteCache,
  'an object with a store (get and perhaps put), and a secret of at least 32 characters or Ed25519 keys in PEM form',
)

const known = new Set(['store', 'secret', 'publicKey', 'privateKey'])

function isRemoteCache(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.keys(value).some((key) => !known.has(key))) return false
  const { store, secret, publicKey, privateKey } = value as Record<string, unknown>
  const isStore = typeof store === 'object' && store !== null && 'get' in store && typeof store.get === 'function'
  if (!isStore) return false
  const keys = [publicKey, privateKey].filter((key) => key !== undefined)
  if (secret !== undefined) return typeof secret === 'string' && secret.length >= 32 && keys.length === 0
  return keys.length > 0 && keys.every(isEd25519)
}

function isEd25519(pem: unknown): boolean {
  // Not an import: few builds have keys, and every build would wait for the module.
  const { createPublicKey } = process.getBuiltinModule('node:crypto')
  try {
    return typeof pem === 'string' && createPublicKey(pem).asymmetricKeyType === 'ed25519'
  } catch {
    return false
  }
}
