import { OnnxEngineError } from '../../runtime/errors.ts'
import { quote } from '../text.ts'
import type { Message } from './proto.ts'

export type Role = 'input' | 'output'

/** A binding that JavaScript has nothing to represent. */
export interface UnsupportedBinding {
  readonly role: Role
  readonly name: string
  /** The dim that is the reason, if it is a dim. */
  readonly axis?: number
  readonly expected: string
  /** What the model has, such as 'a sequence'. */
  readonly received: string
}

/** The error of a binding that is needed and not supported. */
export function unsupportedBinding(
  where: string,
  { role, name, axis, expected, received }: UnsupportedBinding,
): OnnxEngineError {
  const place = `${where}, ${role} ${quote(name)}`
  return new OnnxEngineError('MODEL_UNSUPPORTED', axis === undefined ? place : `${place}, dim ${axis}`, {
    expected,
    received,
    hint: hintOf(role, received),
  })
}

function hintOf(role: Role, received: string): string {
  if (role === 'input') return 'Change the model so that each input is a dense tensor of a supported dtype'
  const hint = `Leave it out: name the outputs that you need in the option 'outputs' or in the query (?outputs=...)`
  // Classifiers of scikit-learn end in a ZipMap, which makes a sequence of maps from a tensor of probabilities.
  const isZipMap = received === foreignTypes.sequenceType || received === foreignTypes.mapType
  if (!isZipMap) return hint
  return (
    `${hint}. A classifier of scikit-learn gives a tensor instead when it is converted with ` +
    "convert_sklearn(..., options={'zipmap': False})"
  )
}

/** The fields of TypeProto besides tensorType, in words. */
export const foreignTypes = {
  sequenceType: 'a sequence',
  mapType: 'a map',
  optionalType: 'an optional value',
  sparseTensorType: 'a sparse tensor',
  opaqueType: 'an opaque value',
} as const satisfies Partial<Record<keyof Message<'TypeProto'>, string>>
