export const calibrationMethods = ['minmax', 'entropy', 'percentile', 'mse'] as const
export type CalibrationMethod = (typeof calibrationMethods)[number]

export interface CalibrationOptions {
  /** Glob of `.npy` or `.npz` files, or path of a module whose default export is an (async) iterable of samples. */
  readonly samples?: string
  /** Glob of PNG or JPEG images; `preprocess` turns each into an input. Use instead of `samples`. */
  readonly images?: string
  /** How an image becomes an input: `(pixel * scale - mean) / std` for each channel. */
  readonly preprocess?: PreprocessOptions
  /**
   * How a range is chosen from the activations that were seen. Default: the method whose engine comes closest to fp32
   * on a few of the samples.
   */
  readonly method?: CalibrationMethod
  /** Percentage of the activations that `'percentile'` keeps inside the range. Default: 99.999. */
  readonly percentile?: number
  /** Most samples to use, from the first on. Default: 512. */
  readonly limit?: number
  /** Longest wait for one sample: milliseconds, or text such as `'90s'`. Default: 60 seconds. */
  readonly timeout?: number | string
}

export interface PreprocessOptions {
  /** Input for the image. Required if the model has several inputs. */
  readonly input?: string
  /**
   * Height and width to resize images to, bilinearly. Default: the static dims of the input, otherwise the size of each
   * image.
   */
  readonly size?: readonly [number, number]
  /** Order of the dims: `'nchw'` is [1,C,H,W]. */
  readonly layout: ImageLayout
  /** Order of the channels. Default: `'rgb'`. */
  readonly channels?: ImageChannels
  /** Factor for pixels, which range from 0 to 255: 1 or 1 / 255. */
  readonly scale: number
  /** Subtracted after scaling: one number per channel, or one for all. Default: 0. */
  readonly mean?: readonly number[]
  /** Divisor after that: one number per channel, or one for all. Default: 1. */
  readonly std?: readonly number[]
}

export const imageLayouts = ['nchw', 'nhwc'] as const
export type ImageLayout = (typeof imageLayouts)[number]
export const imageChannels = ['rgb', 'bgr', 'gray'] as const
export type ImageChannels = (typeof imageChannels)[number]

export interface VerifyOptions {
  /**
   * Samples to compare on, as in `calibration`. Default: the samples of `calibration`, or random inputs if there are
   * none.
   */
  readonly samples?: string | CalibrationOptions
  /** Each element may differ by `atol + rtol * abs(expected)`. Checked only if one of the two is set. */
  readonly atol?: number
  /** See `atol`. */
  readonly rtol?: number
  /**
   * Least cosine between an output and the expected one, which also bounds the difference of their norms. Default: by
   * precision and kind of samples, see docs/precision-reference.md.
   */
  readonly cosine?: number
  /**
   * Largest difference of two elements, as a share of the output's largest magnitude. Default: by precision and kind of
   * samples, unless you set another limit.
   */
  readonly maxError?: number
  /**
   * Path of a module that measures what the app needs: its default export gets the outputs of the fp32 model, those of
   * the engine and the inputs of one sample, and returns a number; it also exports `atLeast` or `atMost`, the limit of
   * the mean. It replaces the default limits.
   */
  readonly metric?: string
  /** Least share (0 to 1) of rows along the last axis whose largest element is at the same index. */
  readonly argmax?: number
  /**
   * Time after which the comparison stops and fails the build: milliseconds, or text such as `'90s'`. Default: 5
   * minutes.
   */
  readonly timeout?: number | string
}
