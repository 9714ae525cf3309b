import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { LiveLine } from '../contract.ts'
import { api } from './api.ts'
import { bytesText, numberText, safeText } from './format.ts'
import { engines, load } from './state.ts'

const lines = signal<readonly LiveLine[]>([])
const now = signal(Date.now())
const mostLines = 200

/** What the build does, as it does it. */
export function BuildPage(): JSX.Element {
  useEffect(follow, [])
  return (
    <div class="narrow">
      <h2>What compiles</h2>
      {lines.value.length === 0 && <p class="empty">Nothing has been compiled since the server started.</p>}
      <ol class="log" aria-live="polite">
        {lines.value.map((line, index) => (
          <li key={index} class={`event-${line.event.event}`}>
            <EventText line={line} />
          </li>
        ))}
      </ol>
      <StaleEngines />
    </div>
  )
}

function follow(): () => void {
  lines.value = []
  const source = new EventSource('api/events')
  source.addEventListener('open', () => (lines.value = []))
  source.addEventListener('message', ({ data }: MessageEvent<string>) => {
    const line = JSON.parse(data) as LiveLine
    const { event } = line
    now.value = Date.now()
    // A model that has ended compiles no more.
    const others = lines.value.filter(
      ({ event: old }) => old.event !== 'started' || !('file' in event) || old.file !== event.file,
    )
    lines.value = [...others, line].slice(-mostLines)
    if (event.event === 'engine') void load(api.engines(), (value) => (engines.value = value))
  })
  const clock = setInterval(() => (now.value = Date.now()), 200)
  return () => {
    source.close()
    clearInterval(clock)
  }
}

function EventText({ line: { event, at } }: { readonly line: LiveLine }): JSX.Element {
  const name = <b>{safeText(event.model)}</b>
  if (event.event === 'started') {
    const seconds = ((now.value - at) / 1000).toFixed(1)
    const last = event.lastSeconds === null ? '' : ` of about ${numberText(event.lastSeconds)} s`
    return (
      <>
        {name} compiles: {`${seconds} s${last}`}
        {event.lastSeconds !== null && <progress max={event.lastSeconds} value={(now.value - at) / 1000} />}
      </>
    )
  }
  if (event.event === 'engine') {
    const { engine, backend, hit, reason, seconds, size } = event
    const time = hit ? 'from the cache' : `${numberText(seconds)} s, ${reason}`
    return (
      <>
        {name} <span class="tag">{engine}</span> <span class="tag">{backend}</span> {bytesText(size)}, {safeText(time)}
      </>
    )
  }
  const text = { failed: 'message', warning: 'text', 'passed-over': 'reason' }[event.event]
  return (
    <>
      {name} {safeText(String(event[text as keyof typeof event]))}
    </>
  )
}

function StaleEngines(): JSX.Element {
  const stale = (engines.value ?? []).filter((engine) => engine.stale !== null)
  if (stale.length === 0) return <></>
  return (
    <>
      <h2>Stale engines</h2>
      <ul>
        {stale.map(({ id, modelName, stale: reason }) => (
          <li key={id}>{safeText(`${modelName}: ${reason ?? ''}`)}</li>
        ))}
      </ul>
    </>
  )
}
