// What fp16 and bf16 do with operators, as data. An operator that is in no list is lowered when its opset allows the
// dtype.

/** Operators that stay in fp32 whatever the values are, each with the reason that the report gives. */
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
  ...because('TensorRT takes its coordinates in the dtype of the image only', 'GridSample'),
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
    'what it draws depends on the dtype',
    'Bernoulli',
    'Multinomial',
    'RandomNormal',
    'RandomNormalLike',
    'RandomUniform',
    'RandomUniformLike',
  ),
  ...because(
    'a spectrum spans more than 16 bits hold',
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

/** Operators that stay in fp32 where the others compute in bfloat16. */
export const keptInBfloat16: Readonly<Record<string, string>> = because(
  'TensorRT-RTX 1.7 cannot build it in bfloat16',
  'ConvTranspose',
  'GRU',
  'HardSwish',
  'LpNormalization',
  'LpPool',
  'Mish',
)

/** Operators that stay in fp32 when an input is given, by its position. */
export const keptWithInput: Readonly<Record<string, { readonly input: number; readonly reason: string }>> = {
  LSTM: { input: 4, reason: 'TensorRT-RTX 1.7 cannot build it with lengths of sequences in 16 bits' },
}

/**
 * Operators whose results or sums inside outgrow fp16 easily: they stay in fp32 unless samples show that their values
 * are small. bf16 has the range of fp32.
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

/** Those of them whose results are no larger than their inputs: only the sum inside outgrows fp16. */
export const shrinkingOperators: ReadonlySet<string> = new Set(['LRN', 'LpNormalization'])

/**
 * Operators that move or compare values: they go with their inputs, since on their own they would only cost casts; one
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
 * Operators whose result is small whatever goes in: what follows a value out of range may be lowered again behind them.
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

/** Operators that make much of a value near zero, such as the variance plus epsilon of a norm. */
export const sensitiveOperators: ReadonlySet<string> = new Set(['Div', 'Log', 'Pow', 'Reciprocal', 'Sqrt'])

/** Inputs that stay in fp32 where the rest of the node is lowered: shapes, coordinates and rates. */
export const keptInputs: Readonly<Record<string, readonly number[]>> = {
  Dropout: [1],
  Resize: [1, 2],
}

function because(reason: string, ...operators: readonly string[]): Record<string, string> {
  return Object.fromEntries(operators.map((operator) => [operator, reason]))
}
