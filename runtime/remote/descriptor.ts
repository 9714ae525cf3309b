/**
 * The gRPC service of the Open Inference Protocol as data, in the JSON form of protobufjs. Source:
 * kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto. Only what the client uses is here.
 */
const repeated = 'repeated'

const metadataTensor = {
  fields: {
    name: { type: 'string', id: 1 },
    datatype: { type: 'string', id: 2 },
    shape: { rule: repeated, type: 'int64', id: 3 },
  },
}

const contents = {
  fields: {
    boolContents: { rule: repeated, type: 'bool', id: 1 },
    intContents: { rule: repeated, type: 'int32', id: 2 },
    int64Contents: { rule: repeated, type: 'int64', id: 3 },
    uintContents: { rule: repeated, type: 'uint32', id: 4 },
    uint64Contents: { rule: repeated, type: 'uint64', id: 5 },
    fp32Contents: { rule: repeated, type: 'float', id: 6 },
    fp64Contents: { rule: repeated, type: 'double', id: 7 },
    bytesContents: { rule: repeated, type: 'bytes', id: 8 },
  },
}

const modelFields = { name: { type: 'string', id: 1 }, version: { type: 'string', id: 2 } }

export const descriptor = {
  nested: {
    inference: {
      nested: {
        GRPCInferenceService: {
          methods: {
            ServerLive: { requestType: 'ServerLiveRequest', responseType: 'ServerLiveResponse' },
            ModelReady: { requestType: 'ModelReadyRequest', responseType: 'ModelReadyResponse' },
            ModelMetadata: { requestType: 'ModelMetadataRequest', responseType: 'ModelMetadataResponse' },
            ModelInfer: { requestType: 'ModelInferRequest', responseType: 'ModelInferResponse' },
          },
        },
        ServerLiveRequest: { fields: {} },
        ServerLiveResponse: { fields: { live: { type: 'bool', id: 1 } } },
        ModelReadyRequest: { fields: modelFields },
        ModelReadyResponse: { fields: { ready: { type: 'bool', id: 1 } } },
        ModelMetadataRequest: { fields: modelFields },
        ModelMetadataResponse: {
          fields: {
            name: { type: 'string', id: 1 },
            versions: { rule: repeated, type: 'string', id: 2 },
            platform: { type: 'string', id: 3 },
            inputs: { rule: repeated, type: 'TensorMetadata', id: 4 },
            outputs: { rule: repeated, type: 'TensorMetadata', id: 5 },
          },
          nested: { TensorMetadata: metadataTensor },
        },
        InferTensorContents: contents,
        ModelInferRequest: {
          fields: {
            modelName: { type: 'string', id: 1 },
            modelVersion: { type: 'string', id: 2 },
            id: { type: 'string', id: 3 },
            inputs: { rule: repeated, type: 'InferInputTensor', id: 5 },
            outputs: { rule: repeated, type: 'InferRequestedOutputTensor', id: 6 },
            rawInputContents: { rule: repeated, type: 'bytes', id: 7 },
          },
          nested: {
            InferInputTensor: metadataTensor,
            InferRequestedOutputTensor: { fields: { name: { type: 'string', id: 1 } } },
          },
        },
        ModelInferResponse: {
          fields: {
            modelName: { type: 'string', id: 1 },
            modelVersion: { type: 'string', id: 2 },
            id: { type: 'string', id: 3 },
            outputs: { rule: repeated, type: 'InferOutputTensor', id: 5 },
            rawOutputContents: { rule: repeated, type: 'bytes', id: 6 },
          },
          nested: {
            InferOutputTensor: {
              fields: { ...metadataTensor.fields, contents: { type: 'InferTensorContents', id: 5 } },
            },
          },
        },
      },
    },
  },
}
