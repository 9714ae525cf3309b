import { OnnxEngineError } from './errors.ts'
import { modelSubject } from './text.ts'
import type { SkippedVariant } from './types.ts'

/** The error of a model of which no variant can run here, with the reason for each. */
export function noVariantError(
  model: string,
  skipped: readonly SkippedVariant[],
  details: { readonly expected: string; readonly hint: string },
): OnnxEngineError {
  // The engines of one library usually have one reason.
  const reasons = new Map<string, Set<string>>()
  for (const { backend, engine, reason } of skipped)
    reasons.set(reason, (reasons.get(reason) ?? new Set()).add(`${backend} ${engine}`))
  const received = Array.from(reasons, ([reason, names]) => `${[...names].join(', ')} (${reason})`).join('; ')
  return new OnnxEngineError('NO_VARIANT', modelSubject(model), { ...details, received: received || 'no variants' })
}
