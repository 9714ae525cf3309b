import { shorten } from '../../text.ts'
import type { EngineView } from '../contract.ts'

/** Names and values as text. */
export function factRows(facts: object): EngineView['facts'] {
  return Object.entries(facts).map(([name, value]: [string, unknown]) => ({
    name: shorten(name),
    value: shorten(typeof value === 'object' ? JSON.stringify(value) : String(value), 300),
  }))
}
