import * as v from 'valibot'
import { calibrationMethods, imageChannels, imageLayouts } from './sample-types.ts'
import type { CalibrationOptions, PreprocessOptions } from './sample-types.ts'
import { duration, oneOf, filePath, section, wholeNumber, type SchemasOf } from './validators.ts'

const positive = wholeNumber(1)
const channelNumbers = v.pipe(
  v.array(v.pipe(v.number(), v.finite())),
  v.check((list) => list.length === 1 || list.length === 3, 'one number, or one for each channel'),
)
const preprocess = section({
  input: v.optional(v.string()),
  size: v.optional(v.tuple([positive, positive])),
  layout: oneOf(imageLayouts),
  channels: v.optional(oneOf(imageChannels), 'rgb'),
  scale: v.pipe(v.number(), v.finite()),
  mean: v.optional(channelNumbers, [0]),
  std: v.optional(
    v.pipe(
      channelNumbers,
      v.check((list) => !list.includes(0), 'no 0'),
    ),
    [1],
  ),
} satisfies SchemasOf<PreprocessOptions>)
const calibrationSection = v.pipe(
  section({
    samples: v.optional(filePath),
    images: v.optional(filePath),
    preprocess: v.optional(preprocess),
    method: v.optional(oneOf(calibrationMethods)),
    percentile: v.optional(
      v.pipe(
        v.number(),
        v.check((value) => value > 50 && value <= 100, 'more than 50 and at most 100'),
      ),
      99.999,
    ),
    limit: v.optional(positive, 512),
    timeout: v.optional(duration('90s'), '60s'),
  } satisfies SchemasOf<CalibrationOptions>),
  v.check(
    ({ samples, images }) => (samples === undefined) !== (images === undefined),
    'samples or images, and not both',
  ),
  v.check(
    ({ images, preprocess: declared }) => (images === undefined) === (declared === undefined),
    'preprocess with images, and only with them',
  ),
)
/** Where samples come from; text is short for `{ samples }`. */
export const calibration = v.pipe(
  v.custom<string | CalibrationOptions>(
    (input) => (typeof input === 'string' ? input !== '' : typeof input === 'object'),
    'a glob, the path of a module, or an object',
  ),
  v.transform((input): CalibrationOptions => (typeof input === 'string' ? { samples: input } : input)),
  calibrationSection,
)
