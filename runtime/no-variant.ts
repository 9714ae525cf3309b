import { OnnxEngineError } from './errors.ts'
import { modelSubject } from './text.ts'
import type { SkippedVariant } from './types.ts'

/** The error of a model of which no variant can run here, with the reason for each. */
export function noVariantError(
  model: string,
  skipped: readonly SkippedVariant[],
  details: { readonly expected: string; readonly hint: string },
): OnnxEngineError {
  const received = skipped.map(({ backend, engine, reason }) => `${backend} ${engine} (${reason})`).join('; ')
  return new OnnxEngineError('NO_VARIANT', modelSubject(model), { ...details, received: received || 'no variants' })
}
