import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { TryBindings, TryInput, TryResult } from '../contract.ts'
import { api } from './api.ts'
import { numberText, safeText } from './format.ts'
import { OutputPicture } from './output-picture.tsx'
import { engines, load, modelId } from './state.ts'

const bindings = signal<TryBindings | undefined>(undefined)
const files = signal<Readonly<Record<string, File | undefined>>>({})
const dims = signal<Readonly<Record<string, string>>>({})
const target = signal('')
const result = signal<TryResult | undefined>(undefined)
const isRunning = signal(false)

/** Runs a model on an image, an array or random values. */
export function TryPage(): JSX.Element {
  const id = modelId.value
  useEffect(() => {
    ;[bindings.value, result.value, target.value, files.value, dims.value] = [undefined, undefined, '', {}, {}]
    if (id === undefined) return
    void load(
      api.bindings(id),
      (value) => (bindings.value = value),
      () => modelId.value === id,
    )
  }, [id])
  if (id === undefined) return <p class="empty">There is no model to try.</p>
  return (
    <div class="narrow">
      <form
        class="try"
        onSubmit={(event) => {
          event.preventDefault()
          void run(id)
        }}
      >
        <EngineChoice />
        {bindings.value?.inputs.map((input) => (
          <Input key={input.name} name={input.name} dtype={input.dtype} shape={input.dims ?? []} />
        ))}
        <button class="main" disabled={isRunning.value || bindings.value === undefined}>
          {isRunning.value ? 'Running…' : 'Run'}
        </button>
      </form>
      <div aria-live="polite">{result.value && <Results result={result.value} />}</div>
    </div>
  )
}

function EngineChoice(): JSX.Element {
  const own = (engines.value ?? []).filter(({ model }) => model === modelId.value)
  return (
    <label>
      Run
      <select value={target.value} onChange={({ currentTarget }) => (target.value = currentTarget.value)}>
        <option value="">the model, with ONNX Runtime</option>
        {own.map(({ id, backend, precision }) => (
          <option key={id} value={id}>{`${backend} ${precision}`}</option>
        ))}
      </select>
    </label>
  )
}

interface InputProps {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly (number | string | null)[]
}

function Input({ name, dtype, shape }: InputProps): JSX.Element {
  const isOpen = shape.some((dim) => typeof dim !== 'number')
  return (
    <fieldset>
      <legend>
        {safeText(name)} <small>{safeText(`${dtype} [${shape.map((dim) => dim ?? '?').join(', ')}]`)}</small>
      </legend>
      <label>
        Image or .npy file (without one: random values)
        <input
          type="file"
          accept=".npy,image/png,image/jpeg"
          onChange={({ currentTarget }) => (files.value = { ...files.value, [name]: currentTarget.files?.[0] })}
        />
      </label>
      {isOpen && (
        <label>
          Dims
          <input
            type="text"
            placeholder={shape.map((dim) => (typeof dim === 'number' ? dim : 1)).join('x')}
            value={dims.value[name] ?? ''}
            onInput={({ currentTarget }) => {
              dims.value = { ...dims.value, [name]: currentTarget.value }
            }}
          />
        </label>
      )}
    </fieldset>
  )
}

async function run(model: string): Promise<void> {
  isRunning.value = true
  try {
    const inputs = await Promise.all((bindings.value?.inputs ?? []).map(({ name }) => inputOf(name)))
    const shapes = Object.entries(dims.value).filter(([, text]) => text.trim() !== '')
    const sizes = Object.fromEntries(shapes.map(([name, text]) => [name, text.split(/[x, ]+/).map(Number)]))
    await load(
      api.run(target.value || model, { inputs, dims: sizes }),
      (value) => (result.value = value),
      () => modelId.value === model,
    )
  } finally {
    isRunning.value = false
  }
}

async function inputOf(name: string): Promise<TryInput> {
  const file = files.value[name]
  if (file === undefined) return { name, kind: 'random', seed: 1 }
  const url = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader()
    reader.addEventListener('load', () => resolve(String(reader.result)))
    reader.addEventListener('error', () => reject(reader.error ?? new Error('the file cannot be read')))
    reader.readAsDataURL(file)
  })
  const kind = file.name.endsWith('.npy') ? 'npy' : 'image'
  return { name, kind, base64: url.slice(url.indexOf(',') + 1) }
}

function Results({ result }: { readonly result: TryResult }): JSX.Element {
  return (
    <>
      <h2>
        Outputs <span class="tag">{numberText(result.milliseconds)} ms</span>
      </h2>
      {result.outputs.map((output) => (
        <OutputPicture key={output.name} output={output} />
      ))}
      <h2>The same in code</h2>
      <pre tabIndex={0}>{result.code}</pre>
      <button type="button" onClick={() => void navigator.clipboard.writeText(result.code)}>
        Copy
      </button>
    </>
  )
}
