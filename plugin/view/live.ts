import type { ServerResponse } from 'node:http'
import type { LiveLine } from './contract.ts'

/** Sends what a build does to the pages that follow it. */
export interface LiveEvents {
  send(line: LiveLine): void
  /** Answers a request of an EventSource, with the last events first. */
  follow(response: ServerResponse): void
  close(): void
}

/** A page that opens late sees this many events of the past. */
const remembered = 200

export function liveEvents(): LiveEvents {
  const pages = new Set<ServerResponse>()
  const past: string[] = []
  return {
    send(line) {
      const text = `data: ${JSON.stringify(line)}\n\n`
      past.push(text)
      if (past.length > remembered) past.shift()
      for (const page of pages) page.write(text)
    },
    follow(response) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write(`retry: 1000\n\n${past.join('')}`)
      pages.add(response)
      response.on('close', () => pages.delete(response))
    },
    close() {
      for (const page of pages) page.end()
    },
  }
}
