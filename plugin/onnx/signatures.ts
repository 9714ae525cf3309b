/** An input or output of a node that has a floating-point dtype. */
export interface FloatSlot {
  /** Inputs and outputs of one node that have the same variable have the same dtype. */
  readonly variable: string
  /** The dtypes that it can have besides float32. */
  readonly accepts: readonly ('float16' | 'bfloat16')[]
}

/**
 * The floating-point inputs and outputs of a node by position; undefined for those of other dtypes, also in sequences.
 */
export interface FloatSignature {
  readonly input: (index: number) => FloatSlot | undefined
  readonly output: (index: number) => FloatSlot | undefined
}

/**
 * Which inputs and outputs of an operator of the main domain can be float16 or bfloat16 at an opset from 7 on, and
 * which of them have one dtype. Undefined for an operator that is unknown or newer than that opset. For If, Loop and
 * Scan, values that go through a body must fit there too, and the values that a Scan slices are independent of those
 * that it stacks.
 */
export function floatSignature(operator: string, opset: number): FloatSignature | undefined {
  const text = histories.get(operator)?.findLast(([since]) => since <= opset)?.[1]
  if (text === undefined) return undefined
  const [inputs = [], outputs = []] = text.split('>').map((side) => side.split(' ').filter(Boolean))
  return { input: (index) => slotAt(inputs, index), output: (index) => slotAt(outputs, index) }
}

// How operators take and give floats since an opset, inputs > outputs. A letter is a type variable, with h when it may
// be float16 and b when it may be bfloat16; f is float32 alone; - is never float32; then * means any number of one
// dtype, ~ any number of independent dtypes. Source: the operator schemas of ONNX 1.23, which a test compares.
const table: Readonly<Record<string, string>> = {
  '7: Ah > Ah | 13: Ahb > Ahb':
    'Abs Ceil DepthToSpace Exp Flatten Floor Hardmax Identity LRN Log LogSoftmax Neg Reciprocal Relu Sigmoid Softmax ' +
    'SpaceToDepth Sqrt Tanh Transpose',
  '7: Ah > Ah | 22: Ahb > Ahb':
    'Acos Asin Atan AveragePool Cos Elu GlobalAveragePool GlobalLpPool GlobalMaxPool HardSigmoid LpNormalization ' +
    'LpPool Selu Sin Softplus Softsign Tan',
  '7: Ah > Ah | 13: Ahb > Ahb | 18: Ahb - > Ahb':
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare',
  '7: Ah Ah > Ah | 13: Ahb Ahb > Ahb': 'Add Div MatMul Mul Sub',
  '7: Ah* > Ah | 13: Ahb* > Ahb': 'Concat Max Mean Min Sum',
  '9: Ah > Ah | 22: Ahb > Ahb': 'Acosh Asinh Atanh Cosh Sinh',
  '7: Ah > - | 13: Ahb > -': 'ArgMax ArgMin Shape Size',
  '17: - > Ahb': 'BlackmanWindow HammingWindow HannWindow',
  '7: Ah - > Ah | 13: Ahb - > Ahb': 'Gather Reshape Tile',
  '7: Ah > Ah | 13: Ahb - > Ahb': 'ReduceSum Squeeze Unsqueeze',
  '7: Ah Ah Ah > Ah | 22: Ahb Ahb Ahb > Ahb': 'Conv ConvTranspose InstanceNormalization',
  '9: Ah > Ah | 13: Ahb > Ahb': 'Erf MeanVarianceNormalization Sign',
  '11: Ah - > Ah | 13: Ahb - > Ahb': 'GatherElements GatherND',
  '11: Ah - Ah > Ah | 13: Ahb - Ahb > Ahb': 'ScatterElements ScatterND',
  '11: Ah > Ah | 22: Ahb > Ahb': 'Det Round',
  '12: Ah Ah > - | 16: Ahb Ahb > -': 'GreaterOrEqual LessOrEqual',
  '7:  > Ah | 22:  > Ahb': 'RandomNormal RandomUniform',
  '7: Ah > Bh | 22: Ahb > Bhb': 'RandomNormalLike RandomUniformLike',
  '7: Ah Ah > - | 13: Ahb Ahb > -': 'Greater Less',
  '7: Ah Ah Ah Ah - Ah > Ah Ah | 22: Ahb Ahb Ahb Ahb - Ahb > Ahb Ahb': 'GRU RNN',
  '9: Ah > - | 13: Ahb > -': 'IsNaN NonZero',
  '10: - f - - f - f - - > -': 'QLinearConv',
  '10: - f - - f - f - > - | 21: - Ahb - - Ahb - Ahb - > -': 'QLinearMatMul',
  '10: - f - > f | 19: - Ahb - > Ahb | 23: - Ahb - > Bhb': 'DequantizeLinear',
  '10: A > - | 20: Ahb > -': 'IsInf',
  '10: A f - > - | 19: Ahb Ahb - > - | 23: Ahb Bhb - > -': 'QuantizeLinear',
  '10: Ah - > Ah | 28: Ahb - > Ahb': 'ReverseSequence',
  '10: Ah > Ah | 22: Ahb > Ahb': 'ThresholdedRelu',
  '10: Ah Ah - > Ah | 22: Ahb Ahb - > Ahb': 'RoiAlign',
  '10: Ah Ah > Ah | 13: Ahb Ahb > Ahb': 'Mod',
  '10: Ah f > Ah | 11: Ah Bh f - > Ah | 13: Ahb Bh f - > Ahb': 'Resize',
  '10: f f - f f > -': 'NonMaxSuppression',
  '11: - - > Ah': 'SequenceAt',
  '11: - > Ah': 'ConcatFromSequence',
  '11: - Ah - > -': 'SequenceInsert',
  '11: A - > A | 14: Ahb - > Ahb': 'CumSum',
  '11: A > - f -': 'DynamicQuantizeLinear',
  '11: A A A > A | 27: Ahb Ahb Ahb > Ahb': 'Range',
  '11: Ah - > - | 24: Ahb - > -': 'SplitToSequence',
  '11: Ah > Ah - - - | 28: Ahb > Ahb - - -': 'Unique',
  '11: Ah* > -': 'SequenceConstruct',
  '12: A > A | 28: Ahb > Ahb': 'Celu',
  '12: Ah - Ah > Ah Ah | 13: Ahb - Ahb > Ahb Ahb': 'SoftmaxCrossEntropyLoss',
  '12: Ah - Ah > Ah | 22: Ahb - Ahb > Ahb': 'NegativeLogLikelihoodLoss',
  '12: Ah* > Ah | 28: Ahb* > Ahb': 'Einsum',
  '14: Ah > Ah | 22: Ahb > Ahb': 'HardSwish',
  '14: Ahb - > Ahb': 'Trilu',
  '15: - > - | 18: Ah > - | 28: Ahb > -': 'OptionalHasElement',
  '15: - > Ah | 18: Ah > Bh | 28: Ahb > Bhb': 'OptionalGetElement',
  '15: Ah > - | 28: Ahb > -': 'Optional',
  '15: Ah > Bhb | 22: Ahb > Bhb': 'Bernoulli',
  '15: Ahb Bhb > Bhb': 'CastLike',
  '16: Ah Bh > Ah | 22: Ahb Bhb > Ahb': 'GridSample',
  '17: - - - Ahb Ahb > Bhb': 'MelWeightMatrix',
  '17: - Ah~ > -~': 'SequenceMap',
  '17: Ahb - > Ahb | 20: Ahb - - > Ahb': 'DFT',
  '17: Ahb - Ahb - > Ahb': 'STFT',
  '17: Ahb Ahb Ahb > Ahb Bb Bb': 'LayerNormalization',
  '18: Ah > Ah | 22: Ahb > Ahb': 'Mish',
  '18: Ahb - - > Ahb': 'Col2Im',
  '18: Ahb - > Ahb': 'CenterCropPad',
  '18: Ahb Ahb Ahb > Ahb': 'GroupNormalization',
  '19: Ah Ah Ah Ah Ah > Ah | 22: Ahb Ahb Ahb Ahb Ahb > Ahb': 'DeformConv',
  '20: Ahb - > Ahb': 'AffineGrid',
  '20: Ahb > Ahb': 'Gelu',
  '23: Ahb Ahb Ahb - > Ahb': 'RotaryEmbedding',
  '23: Ahb Ahb Bhb Chb Ahb Bhb > Ahb Ahb Bhb Ahb | 24: Ahb Ahb Bhb Chb Ahb Bhb - > Ahb Ahb Bhb Ahb': 'Attention',
  '23: Ahb Bhb > Bhb': 'RMSNormalization',
  '24: Ahb > Ahb': 'Swish',
  '24: Ahb Ahb - > Ahb': 'TensorScatter',
  '26: Ahb - > Ahb': 'CumProd',
  '26: Ahb > Bhb': 'BitCast',
  '27: Ahb Ahb Ahb Ahb > Ahb Ahb': 'CausalConvWithState',
  '27: Ahb Ahb Ahb Bhb Ahb Ahb > Ahb Bhb': 'LinearAttention',
  '28: Ahb Ahb > Ahb': 'SwiGLU',
  '7:  > Ah | 13:  > Ahb': 'Constant',
  '7: - - > - | 11: Ah Ah > - | 13: Ahb Ahb > -': 'Equal',
  '7: - - Ah~ > Ah~ | 16: - - Ahb~ > Ahb~': 'Loop',
  '7: - > Ah~ | 16: - > Ahb~': 'If',
  '7: Ah > - | 22: Ahb > -': 'Multinomial',
  '7: Ah > Ah - | 10: Ah - > Ah - | 24: Ahb - > Ahb -': 'TopK',
  '7: Ah > Ah Ah | 10: Ah > Ah - | 12: Ah Bh - > Ah - | 13: Ahb Bh - > Ahb - | 22: Ahb Bhb - > Ahb -': 'Dropout',
  '7: Ah > Ah | 10: Ah - - - - > Ah | 13: Ahb - - - - > Ahb': 'Slice',
  '7: Ah > Ah | 11: Ah - Ah > Ah | 13: Ahb - Ahb > Ahb | 18: Ahb - Ahb - > Ahb': 'Pad',
  '7: Ah > Ah | 11: Ah Ah Ah > Ah | 13: Ahb Ahb Ahb > Ahb': 'Clip',
  '7: Ah > Ah | 16: Ahb > Ahb': 'LeakyRelu',
  '7: Ah > Ah | 8: Ah > Ah - | 22: Ahb > Ahb -': 'MaxPool',
  '7: Ah > Ah | 9: Ah f > Ah': 'Upsample',
  '7: Ah > Ah* | 13: Ahb - > Ahb*': 'Split',
  '7: Ah > Bh | 13: Ahb > Bhb': 'Cast',
  '7: Ah Ah > Ah | 12: Ah Bh > Ah | 13: Ahb Bh > Ahb | 15: Ahb Bhb > Ahb': 'Pow',
  '7: Ah Ah > Ah | 16: Ahb Ahb > Ahb': 'PRelu',
  '7: Ah Ah > Ah | 22: Ahb Ahb > Ahb': 'MaxRoiPool',
  '7: Ah Ah Ah > Ah | 13: Ahb Ahb Ahb > Ahb': 'Gemm',
  '7: Ah Ah Ah Ah - Ah Ah Ah > Ah Ah Ah | 22: Ahb Ahb Ahb Ahb - Ahb Ahb Ahb > Ahb Ahb Ahb': 'LSTM',
  '7: Ah Ah Ah Ah Ah > Ah Ah Ah Ah Ah | 14: Ahb Ahb Ahb Bhb Bhb > Ahb Bhb Bhb | 15: Ahb Bhb Bhb Chb Chb > Ahb Chb Chb':
    'BatchNormalization',
  '8: - Ah~ > Ah~ | 9: Ah~ > Ah~ | 16: Ahb~ > Ahb~': 'Scan',
  '8: Ah - > Ah | 13: Ahb - > Ahb': 'Expand',
  '9: - > A': 'TfIdfVectorizer',
  '9: - > Ah | 20: - > Ahb': 'ConstantOfShape',
  '9: - Ah Ah > Ah | 16: - Ahb Ahb > Ahb': 'Where',
  '9: Ah - - > Ah | 22: Ahb - - > Ahb': 'MaxUnpool',
  '9: Ah - > Ah | 28: Ahb - > Ahb': 'Compress',
  '9: Ah - Ah > Ah': 'Scatter',
  '9: Ah > Ah': 'Shrink',
  '9: Ah > Bh | 22: Ahb > Bhb': 'EyeLike',
  '9: Ah Bh Ch > Ch | 28: Ah Bh Chb > Chb': 'OneHot',
  '1: - > -':
    'And BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor ConvInteger ImageDecoder MatMulInteger Not Or ' +
    'RegexFullMatch SequenceEmpty SequenceErase SequenceLength StringConcat StringNormalizer StringSplit Xor',
}

const histories = new Map(
  Object.entries(table).flatMap(([history, operators]) => {
    const versions = history
      .split(' | ')
      .map((text): [number, string] => [Number.parseInt(text, 10), text.slice(text.indexOf(':') + 1)])
    return operators.split(' ').map((operator) => [operator, versions])
  }),
)

function slotAt(tokens: readonly string[], index: number): FloatSlot | undefined {
  const last = tokens.length - 1
  const token = tokens[index] ?? (/[*~]$/.test(tokens[last] ?? '') ? tokens[last] : undefined)
  const [, letter, accepts = ''] = /^([A-Zf])([hb]*)/.exec(token ?? '') ?? []
  if (!letter) return undefined
  const kinds = { h: 'float16', b: 'bfloat16' } as const
  const accepted = [...accepts].map((kind) => kinds[kind as keyof typeof kinds])
  return { variable: token?.endsWith('~') ? `${letter}${index - last}` : letter, accepts: accepted }
}
