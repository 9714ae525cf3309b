/**
 * The subset of onnx.proto (ONNX 1.23, package `onnx`) that we read and write, as data. A field that is not listed is
 * an unknown field: it is kept as raw bytes and written back. Columns: name, number, type, and 'repeated' or 'packed'
 * where it applies.
 *
 * `elsewhere` is ours: in a skeleton (see skim.ts) it represents bytes that were left in their file. Its number is in
 * the range that protobuf reserves for implementations, so no real model can contain it.
 */
export const messages = {
  ModelProto: [
    ['irVersion', 1, 'int64'],
    ['producerName', 2, 'string'],
    ['producerVersion', 3, 'string'],
    ['domain', 4, 'string'],
    ['modelVersion', 5, 'int64'],
    ['docString', 6, 'string'],
    ['graph', 7, 'GraphProto'],
    ['opsetImport', 8, 'OperatorSetIdProto', 'repeated'],
    ['metadataProps', 14, 'StringStringEntryProto', 'repeated'],
    ['trainingInfo', 20, 'TrainingInfoProto', 'repeated'],
    ['functions', 25, 'FunctionProto', 'repeated'],
  ],
  TrainingInfoProto: [
    ['initialization', 1, 'GraphProto'],
    ['algorithm', 2, 'GraphProto'],
    ['initializationBinding', 3, 'StringStringEntryProto', 'repeated'],
    ['updateBinding', 4, 'StringStringEntryProto', 'repeated'],
  ],
  OperatorSetIdProto: [
    ['domain', 1, 'string'],
    ['version', 2, 'int64'],
  ],
  StringStringEntryProto: [
    ['key', 1, 'string'],
    ['value', 2, 'string'],
  ],
  FunctionProto: [
    ['name', 1, 'string'],
    ['input', 4, 'string', 'repeated'],
    ['output', 5, 'string', 'repeated'],
    ['attribute', 6, 'string', 'repeated'],
    ['node', 7, 'NodeProto', 'repeated'],
    ['docString', 8, 'string'],
    ['opsetImport', 9, 'OperatorSetIdProto', 'repeated'],
    ['domain', 10, 'string'],
    ['attributeProto', 11, 'AttributeProto', 'repeated'],
    ['valueInfo', 12, 'ValueInfoProto', 'repeated'],
    ['overload', 13, 'string'],
  ],
  GraphProto: [
    ['node', 1, 'NodeProto', 'repeated'],
    ['name', 2, 'string'],
    ['initializer', 5, 'TensorProto', 'repeated'],
    ['docString', 10, 'string'],
    ['input', 11, 'ValueInfoProto', 'repeated'],
    ['output', 12, 'ValueInfoProto', 'repeated'],
    ['valueInfo', 13, 'ValueInfoProto', 'repeated'],
    ['quantizationAnnotation', 14, 'TensorAnnotation', 'repeated'],
    ['sparseInitializer', 15, 'SparseTensorProto', 'repeated'],
    ['metadataProps', 16, 'StringStringEntryProto', 'repeated'],
  ],
  TensorAnnotation: [
    ['tensorName', 1, 'string'],
    ['quantParameterTensorNames', 2, 'StringStringEntryProto', 'repeated'],
  ],
  NodeProto: [
    ['input', 1, 'string', 'repeated'],
    ['output', 2, 'string', 'repeated'],
    ['name', 3, 'string'],
    ['opType', 4, 'string'],
    ['attribute', 5, 'AttributeProto', 'repeated'],
    ['docString', 6, 'string'],
    ['domain', 7, 'string'],
    ['overload', 8, 'string'],
    ['metadataProps', 9, 'StringStringEntryProto', 'repeated'],
  ],
  AttributeProto: [
    ['name', 1, 'string'],
    ['f', 2, 'float'],
    ['i', 3, 'int64'],
    ['s', 4, 'bytes'],
    ['t', 5, 'TensorProto'],
    ['g', 6, 'GraphProto'],
    ['floats', 7, 'float', 'repeated'],
    ['ints', 8, 'int64', 'repeated'],
    ['strings', 9, 'bytes', 'repeated'],
    ['tensors', 10, 'TensorProto', 'repeated'],
    ['graphs', 11, 'GraphProto', 'repeated'],
    ['docString', 13, 'string'],
    ['tp', 14, 'TypeProto'],
    ['typeProtos', 15, 'TypeProto', 'repeated'],
    ['type', 20, 'int32'],
    ['refAttrName', 21, 'string'],
    ['sparseTensor', 22, 'SparseTensorProto'],
    ['sparseTensors', 23, 'SparseTensorProto', 'repeated'],
    ['elsewhere', 19000, 'ElsewhereProto', 'repeated'],
  ],
  TensorProto: [
    ['dims', 1, 'int64', 'repeated'],
    ['dataType', 2, 'int32'],
    ['floatData', 4, 'float', 'packed'],
    ['int32Data', 5, 'int32', 'packed'],
    ['stringData', 6, 'bytes', 'repeated'],
    ['int64Data', 7, 'int64', 'packed'],
    ['name', 8, 'string'],
    ['rawData', 9, 'bytes'],
    ['doubleData', 10, 'double', 'packed'],
    ['uint64Data', 11, 'uint64', 'packed'],
    ['docString', 12, 'string'],
    ['externalData', 13, 'StringStringEntryProto', 'repeated'],
    ['dataLocation', 14, 'int32'],
    ['metadataProps', 16, 'StringStringEntryProto', 'repeated'],
    ['elsewhere', 19000, 'ElsewhereProto', 'repeated'],
  ],
  ElsewhereProto: [
    ['field', 1, 'uint32'],
    ['offset', 2, 'uint64'],
    ['length', 3, 'uint64'],
    ['source', 4, 'uint32'],
  ],
  SparseTensorProto: [
    ['values', 1, 'TensorProto'],
    ['indices', 2, 'TensorProto'],
    ['dims', 3, 'int64', 'repeated'],
  ],
  ValueInfoProto: [
    ['name', 1, 'string'],
    ['type', 2, 'TypeProto'],
    ['docString', 3, 'string'],
    ['metadataProps', 4, 'StringStringEntryProto', 'repeated'],
  ],
  // One of the fields 1, 4, 5, 8 and 9 is set. Field 7 (opaque) belongs to onnx-ml; it is listed so that messages can
  // name it.
  TypeProto: [
    ['tensorType', 1, 'TensorTypeProto'],
    ['sequenceType', 4, 'bytes'],
    ['mapType', 5, 'bytes'],
    ['denotation', 6, 'string'],
    ['opaqueType', 7, 'bytes'],
    ['sparseTensorType', 8, 'bytes'],
    ['optionalType', 9, 'bytes'],
  ],
  // The element type of a sequence or an optional. Above it is bytes, so that it is only decoded on demand.
  ElementTypeProto: [['elemType', 1, 'TypeProto']],
  TensorTypeProto: [
    ['elemType', 1, 'int32'],
    ['shape', 2, 'TensorShapeProto'],
  ],
  TensorShapeProto: [['dim', 1, 'DimensionProto', 'repeated']],
  DimensionProto: [
    ['dimValue', 1, 'int64'],
    ['dimParam', 2, 'string'],
    ['denotation', 3, 'string'],
  ],
} as const satisfies Record<string, readonly (readonly [string, number, string, ('repeated' | 'packed')?])[]>

export type MessageName = keyof typeof messages

/** The messages that can hold tensors, at any depth. */
export const carriers: ReadonlySet<MessageName> = new Set<MessageName>([
  'ModelProto',
  'TrainingInfoProto',
  'FunctionProto',
  'GraphProto',
  'NodeProto',
  'AttributeProto',
  'SparseTensorProto',
  'TensorProto',
])

/** A field number that protobuf reserves for implementations. */
export const elsewhereField = 19000
