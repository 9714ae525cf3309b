import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * Why a request is refused; undefined for one of the page itself. A page of another site can send requests to a server
 * of this machine, and by DNS rebinding under a name of its own: `Host` and `Origin` show both.
 */
export function refusalOf({ headers, socket }: IncomingMessage): string | undefined {
  const { host = '', origin, 'sec-fetch-site': site } = headers
  if (!isLoopback(socket.remoteAddress ?? '')) return 'only this machine may ask'
  if (!ownHosts.test(host)) return 'the request is for another host'
  if (origin !== undefined && origin.replace(/^https?:\/\//, '') !== host) return 'the request is from another origin'
  if (site === 'cross-site' || site === 'same-site') return 'the request is from another site'
  return undefined
}

/** Compares in a time that does not depend on the texts. */
export function isSameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}

const ownHosts = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address)
}

/** Headers of every answer: the page loads nothing from elsewhere, and no other page may hold it in a frame. */
export const safeHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self'`,
    `img-src 'self' blob: data:`,
    `connect-src 'self'`,
    `worker-src 'self'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
}
