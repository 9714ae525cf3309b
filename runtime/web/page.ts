/**
 * What the runtime uses of a page, or of a worker that imports a model. Structural: an app that is compiled for Node.js
 * has no types of DOM.
 */
export interface Page {
  readonly crossOriginIsolated?: boolean
  readonly location: { readonly href: string; readonly origin: string }
  readonly Worker?: new (url: string, options: { readonly type: 'module'; readonly name: string }) => PageWorker
  readonly WebAssembly?: { validate(bytes: Uint8Array): boolean }
  addEventListener(event: 'pagehide' | 'pageshow', listener: () => void): void
}

/** A `Worker` of a page. */
export interface PageWorker {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void
  addEventListener(event: 'message', listener: (event: { readonly data: unknown }) => void): void
  addEventListener(event: 'error' | 'messageerror', listener: (event: { readonly message?: string }) => void): void
  terminate(): void
}

export const page: Page = globalThis as unknown as Page
