export type { RemoteCacheOptions, RemoteContext, RemoteStore } from '../../options/remote-types.ts'
export { http, type HttpStoreOptions } from './http-store.ts'
export { s3, type S3StoreOptions } from './s3-store.ts'
