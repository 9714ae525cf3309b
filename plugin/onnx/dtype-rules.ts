/**
 * How each operator of the main domain types its outputs, one word for each; a last word with '*' applies to all
 * further outputs.
 *
 *     0              the type of input 0                  float32       that dtype
 *     @to            the type that an attribute names     #value        the dtype of an attribute's value
 *     sequence(0)    a sequence of the type of input 0    element(0)    the elements of the sequence at input 0
 *     optional(0)    an optional of that type             payload(0)    the value of optional input 0, or input 0
 *     a|b            b when a has no type                 body*         the results of the bodies, see `bodyRules`
 *
 * The rules hold from opset 7 to 28. Where versions of an operator differ, a list has each version with its first
 * opset. Source: the operator schemas of ONNX 1.23. A test compares every output of the ONNX library's own test models
 * with the library's inference.
 */
export const dtypeRules: Readonly<Record<string, string | readonly (readonly [since: number, rule: string])[]>> = {
  ...same(
    'Abs Acos Acosh Add AffineGrid Asin Asinh Atan Atanh AveragePool BitShift BitwiseAnd BitwiseNot BitwiseOr',
    'BitwiseXor Ceil Celu CenterCropPad Clip Col2Im Compress Concat Conv ConvTranspose Cos Cosh CumProd CumSum',
    'DFT DeformConv DepthToSpace Det Div Einsum Elu Erf Exp Expand Flatten Floor Gather GatherElements GatherND',
    'Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization HardSigmoid HardSwish',
    'Hardmax Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax LpNormalization LpPool MatMul Max',
    'MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NegativeLogLikelihoodLoss PRelu Pad',
    'Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin',
    'ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT',
    'Scatter ScatterElements ScatterND Selu SequenceErase SequenceInsert Shrink Sigmoid Sign Sin Sinh Slice',
    'Softmax Softplus Softsign SpaceToDepth Sqrt Squeeze StringConcat StringNormalizer Sub Sum SwiGLU Swish Tan',
    'Tanh TensorScatter ThresholdedRelu Tile Transpose Trilu Unsqueeze Upsample',
  ),
  And: 'bool',
  ArgMax: 'int64',
  ArgMin: 'int64',
  Attention: '0 1 2 0',
  BatchNormalization: '0 3 4 3 4',
  Bernoulli: '@dtype|0',
  BitCast: '@to',
  BlackmanWindow: '@output_datatype|float32',
  Cast: '@to',
  CastLike: '1',
  CausalConvWithState: '0 0',
  ConcatFromSequence: 'element(0)',
  Constant: '#value|#sparse_value|#value_float|#value_floats|#value_int|#value_ints|#value_string|#value_strings',
  ConstantOfShape: '#value|float32',
  ConvInteger: 'int32',
  DequantizeLinear: '@output_dtype|1',
  Dropout: [
    [7, '0 0'],
    [10, '0 bool'],
  ],
  DynamicQuantizeLinear: 'uint8 float32 uint8',
  Equal: 'bool',
  EyeLike: '@dtype|0',
  GRU: '0 0',
  Greater: 'bool',
  GreaterOrEqual: 'bool',
  HammingWindow: '@output_datatype|float32',
  HannWindow: '@output_datatype|float32',
  If: 'body*',
  ImageDecoder: 'uint8',
  IsInf: 'bool',
  IsNaN: 'bool',
  LSTM: '0 0 0',
  LayerNormalization: '0 @stash_type|float32 @stash_type|float32',
  Less: 'bool',
  LessOrEqual: 'bool',
  LinearAttention: '0 3|0',
  Loop: 'body*',
  MatMulInteger: 'int32',
  MaxPool: '0 int64',
  MelWeightMatrix: '@output_datatype|float32',
  Multinomial: '@dtype|int32',
  NonMaxSuppression: 'int64',
  NonZero: 'int64',
  Not: 'bool',
  OneHot: '2',
  Optional: 'optional(0)|optional(@type)',
  OptionalGetElement: 'payload(0)',
  OptionalHasElement: 'bool',
  Or: 'bool',
  QLinearConv: '7',
  QLinearMatMul: '7',
  QuantizeLinear: '2|@output_dtype|uint8',
  RMSNormalization: '1',
  RNN: '0 0',
  RandomNormal: '@dtype|float32',
  RandomNormalLike: '@dtype|0',
  RandomUniform: '@dtype|float32',
  RandomUniformLike: '@dtype|0',
  RegexFullMatch: 'bool',
  Scan: 'body*',
  SequenceAt: 'element(0)',
  SequenceConstruct: 'sequence(0)',
  SequenceEmpty: 'sequence(@dtype)|sequence(float32)',
  SequenceLength: 'int64',
  SequenceMap: 'body*',
  Shape: 'int64',
  Size: 'int64',
  SoftmaxCrossEntropyLoss: '0 0',
  Split: '0*',
  SplitToSequence: 'sequence(0)',
  StringSplit: 'string int64',
  TfIdfVectorizer: 'float32',
  TopK: '0 int64',
  Unique: '0 int64 int64 int64',
  Where: '1',
  Xor: 'bool',
}

function same(...operators: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    operators
      .join(' ')
      .split(' ')
      .map((operator) => [operator, '0']),
  )
}
