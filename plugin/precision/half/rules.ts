// The rules of fp16 and bf16 for operators, as data. An operator that is in no list is lowered if its opset allows the
// dtype.

/** Operators that always stay in fp32, each with the reason for the report. */
export const keptOperators: Readonly<Record<string, string>> = {
  ...because('the order of nearly equal values decides', 'TopK', 'Unique'),
  ...because(
    'coordinates need more than 11 bits',
    'NonMaxSuppression',
    'RoiAlign',
    'MaxRoiPool',
    'AffineGrid',
    'DeformConv',
    'Upsample',
    'RotaryEmbedding',
  ),
  ...because('TensorRT requires its coordinates in the dtype of the image', 'GridSample'),
  ...because('counts need more than 11 bits', 'Range', 'OneHot', 'Mod', 'TfIdfVectorizer'),
  ...because(
    'engines have no kernel of 16 bits',
    'Celu',
    'Det',
    'ThresholdedRelu',
    'MaxUnpool',
    'Col2Im',
    'TensorScatter',
    'CausalConvWithState',
    'LinearAttention',
  ),
  ...because(
    'its random numbers depend on the dtype',
    'Bernoulli',
    'Multinomial',
    'RandomNormal',
    'RandomNormalLike',
    'RandomUniform',
    'RandomUniformLike',
  ),
  ...because(
    'a spectrum spans more than 16 bits can hold',
    'DFT',
    'STFT',
    'MelWeightMatrix',
    'BlackmanWindow',
    'HammingWindow',
    'HannWindow',
  ),
  ...because('ONNX defines it with constants of fp32', 'MeanVarianceNormalization'),
  ...because('a loss is summed over a batch', 'SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss'),
  ...because('its bodies stay in fp32', 'Loop', 'Scan', 'SequenceMap'),
  ...because(
    'it handles sequences or optional values',
    'ConcatFromSequence',
    'Optional',
    'OptionalGetElement',
    'OptionalHasElement',
    'SequenceAt',
    'SequenceConstruct',
    'SequenceInsert',
    'SplitToSequence',
  ),
  ...because('its dtype is part of the model', 'BitCast', 'CastLike', 'EyeLike', 'ConstantOfShape'),
}

/** Operators that stay in fp32 when the others compute in bfloat16. */
export const keptInBfloat16: Readonly<Record<string, string>> = because(
  'TensorRT-RTX 1.7 cannot build it in bfloat16',
  'ConvTranspose',
  'GRU',
  'HardSwish',
  'LpNormalization',
  'LpPool',
  'Mish',
)

/** Operators that stay in fp32 when they have the input at this position. */
export const keptWithInput: Readonly<Record<string, { readonly input: number; readonly reason: string }>> = {
  GRU: { input: 4, reason: 'TensorRT-RTX 1.7 cannot build it in 16 bits with sequence lengths' },
  LSTM: { input: 4, reason: 'TensorRT-RTX 1.7 cannot build it in 16 bits with sequence lengths' },
  RNN: { input: 4, reason: 'TensorRT-RTX 1.7 cannot build it in 16 bits with sequence lengths' },
}

/**
 * Operators whose results or internal sums easily overflow fp16: they stay in fp32 unless samples show that their
 * values are small. bf16 has the range of fp32.
 */
export const wideOperators: ReadonlySet<string> = new Set([
  'CumProd',
  'CumSum',
  'Exp',
  'GlobalLpPool',
  'LRN',
  'LpNormalization',
  'LpPool',
  'Pow',
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceLogSumExp',
  'ReduceProd',
  'ReduceSum',
  'ReduceSumSquare',
  'Cosh',
  'Sinh',
  'Tan',
])

/** Wide operators whose results are no larger than their inputs: only the internal sum overflows fp16. */
export const shrinkingOperators: ReadonlySet<string> = new Set(['LRN', 'LpNormalization'])

/**
 * Operators that move or compare values: they follow their inputs, since on their own they would only cost casts. One
 * that looks up a weight is lowered.
 */
export const neutralOperators: ReadonlySet<string> = new Set([
  'ArgMax',
  'ArgMin',
  'CenterCropPad',
  'Compress',
  'Concat',
  'DepthToSpace',
  'Dropout',
  'Equal',
  'Expand',
  'Flatten',
  'Gather',
  'GatherElements',
  'GatherND',
  'Greater',
  'GreaterOrEqual',
  'Identity',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'NonZero',
  'Pad',
  'Reshape',
  'ReverseSequence',
  'Scatter',
  'ScatterElements',
  'ScatterND',
  'Shape',
  'Size',
  'Slice',
  'SpaceToDepth',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Trilu',
  'Unsqueeze',
  'Where',
])

/**
 * Operators whose result is small for any input: behind them, nodes may be lowered again after a value out of range.
 */
export const boundedOperators: ReadonlySet<string> = new Set([
  'Atan',
  'BatchNormalization',
  'Cos',
  'Erf',
  'GroupNormalization',
  'HardSigmoid',
  'Hardmax',
  'InstanceNormalization',
  'LayerNormalization',
  'Log',
  'LogSoftmax',
  'LpNormalization',
  'MeanVarianceNormalization',
  'RMSNormalization',
  'Reciprocal',
  'Sigmoid',
  'Sign',
  'Sin',
  'Softmax',
  'Softsign',
  'Sqrt',
  'Tanh',
])

/** Operators that amplify values near zero, such as the variance plus epsilon of a normalization. */
export const sensitiveOperators: ReadonlySet<string> = new Set(['Div', 'Log', 'Pow', 'Reciprocal', 'Sqrt'])

/** Inputs that stay in fp32 when the rest of the node is lowered: shapes, coordinates and rates. */
export const keptInputs: Readonly<Record<string, readonly number[]>> = {
  Dropout: [1],
  Resize: [1, 2],
}

function because(reason: string, ...operators: readonly string[]): Record<string, string> {
  return Object.fromEntries(operators.map((operator) => [operator, reason]))
}
