import type { Bindings } from '../../runtime/manifest.ts'
import type { Calibration } from '../options/schema.ts'

/** The options that take samples. */
export type SampleOption = 'calibration' | 'verify.samples' | 'input'

/** How the pixels of an image become the elements of an input. */
export type Preprocess = NonNullable<Calibration['preprocess']>

/**
 * Where samples come from, with everything that reading them needs: it crosses into a child process. A type, so that it
 * is JSON.
 */
export type SampleSource = {
  /** Display name of the model, for messages. */
  readonly name: string
  /** The option that names the samples, for messages. */
  readonly option: SampleOption
  readonly inputs: Bindings['inputs']
  /** As the user wrote it, for messages. */
  readonly text: string
  /** Most samples that are used. */
  readonly limit: number
  /** Milliseconds to wait for one sample. */
  readonly timeout: number
} & (
  | {
      readonly kind: 'arrays'
      readonly groups: readonly { readonly sample: string; readonly files: Readonly<Record<string, string>> }[]
    }
  | { readonly kind: 'images'; readonly files: readonly string[]; readonly preprocess: Preprocess }
  | { readonly kind: 'module'; readonly url: string }
)

/** Signals of a child process that reads samples: `wait` before each sample and `go` when it has it. */
export const sampleSignals = { wait: 'wait', go: 'go' } as const

/** How messages name the samples of a model. */
export function where({ name, option, text }: Pick<SampleSource, 'name' | 'option' | 'text'>): string {
  return `${name}: ${sampleNames[option]} '${text}'`
}

const sampleNames: Readonly<Record<SampleOption, string>> = {
  calibration: 'calibration samples',
  'verify.samples': 'verification samples',
  input: 'input',
}
