import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { TryOutput } from '../contract.ts'
import { Bars } from './bars.tsx'
import { numberText, safeText } from './format.ts'

type Look = 'numbers' | 'bars' | 'heat map' | 'image'

/** An output, in the look that a person chooses. */
export function OutputPicture({ output }: { readonly output: TryOutput }): JSX.Element {
  const looks = looksOf(output)
  const look = useSignal<Look>(looks[0] ?? 'numbers')
  const numbers = output.data.map(Number)
  const name = safeText(output.name)
  return (
    <section class="card output">
      <h3>
        {name} <small>{`${output.dtype} [${output.dims.join(', ')}]`}</small>
      </h3>
      <div class="buttons" role="group" aria-label={`Look of ${name}`}>
        {looks.map((choice) => (
          <button key={choice} type="button" aria-pressed={choice === look.value} onClick={() => (look.value = choice)}>
            {choice}
          </button>
        ))}
      </div>
      {look.value === 'numbers' && <Numbers output={output} />}
      {look.value === 'bars' && <Bars values={numbers.slice(0, 200)} label={`Values of ${name}`} />}
      {(look.value === 'heat map' || look.value === 'image') && (
        <Pixels
          values={numbers}
          dims={output.dims}
          isImage={look.value === 'image'}
          label={`${name} as ${look.value}`}
        />
      )}
      {output.isClipped && <p class="hint">Only the first values are here: the output is large.</p>}
    </section>
  )
}

function looksOf({ dims, data }: TryOutput): readonly Look[] {
  if (data.some((value) => typeof value === 'string')) return ['numbers']
  const [height = 1, width = 1] = dims.slice(-2)
  const channels = dims.at(-3) ?? 1
  const isFlat = height < 2 || width < 2
  const looks: Look[] = isFlat ? ['bars', 'numbers'] : ['heat map', 'numbers', 'bars']
  return !isFlat && channels === 3 ? [...looks, 'image'] : looks
}

function Numbers({ output }: { readonly output: TryOutput }): JSX.Element {
  const shown = output.data.slice(0, 200)
  return (
    <pre tabIndex={0}>
      {shown.map((value) => (typeof value === 'number' ? numberText(value) : safeText(value))).join('  ')}
      {output.data.length > shown.length ? ' …' : ''}
    </pre>
  )
}

interface PixelsProps {
  readonly values: readonly number[]
  readonly dims: readonly number[]
  readonly isImage: boolean
  readonly label: string
}

function Pixels({ values, dims, isImage, label }: PixelsProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [height = 1, width = 1] = dims.slice(-2)
  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (!context) return
    const picture = context.createImageData(width, height)
    const plane = width * height
    const used = values.slice(0, isImage ? plane * 3 : plane).filter(Number.isFinite)
    const least = used.reduce((a, b) => Math.min(a, b), Infinity)
    const most = used.reduce((a, b) => Math.max(a, b), -Infinity)
    const level = (index: number) => ((values[index] ?? least) - least) / (most - least || 1)
    for (let pixel = 0; pixel < plane; pixel++) {
      const colour = isImage ? [0, 1, 2].map((channel) => level(pixel + channel * plane) * 255) : heat(level(pixel))
      picture.data.set([...colour, 255], pixel * 4)
    }
    context.putImageData(picture, 0, 0)
  }, [values, isImage, width, height])
  return <canvas ref={canvas} class="pixels" role="img" aria-label={label} width={width} height={height} />
}

// From deep blue over teal to sand: light means more in both themes.
function heat(level: number): readonly number[] {
  const stops = [
    [22, 24, 66],
    [28, 96, 128],
    [66, 168, 148],
    [246, 230, 170],
  ] as const
  const place = Math.min(Math.max(level, 0), 1) * (stops.length - 1)
  const from = stops[Math.min(Math.floor(place), stops.length - 2)] ?? stops[0]
  const to = stops[Math.min(Math.floor(place) + 1, stops.length - 1)] ?? stops[0]
  const part = place - Math.min(Math.floor(place), stops.length - 2)
  return from.map((value, index) => value + ((to[index] ?? value) - value) * part)
}
