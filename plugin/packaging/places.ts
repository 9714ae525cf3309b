import { posix } from 'node:path'
import type { Plugin } from 'rolldown'
import { openedByPlace, placeOf } from './entries.ts'

/** Lets code find the files that it opens by their place, from whichever chunk it ends up in. */
export function keepPlaces(dist: string): Plugin {
  return {
    name: 'keep-places',
    transform(code, id) {
      const own = placeOf(dist, id)
      if (own.startsWith('..')) return undefined
      return code.replaceAll(openedByPlace, (_, specifier: string) => {
        const place = posix.join(posix.dirname(own), specifier)
        return `new URL('${scheme}${place}', import.meta.url)`
      })
    },
    renderChunk(code, { fileName }) {
      return code.replaceAll(marked, (_, quote: string, place: string) => {
        const path = posix.relative(posix.dirname(fileName), place)
        return `${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`
      })
    },
  }
}

const scheme = 'dist:'
const marked = new RegExp(`(['"])${scheme}([^'"]+)\\1`, 'g')
