/** The lines of Python that KServe needs for ONNX models; `MODELS` is a folder of `<name>/model.onnx`. */
export const kserveScript = `"""Serves every model of this folder with KServe: python serve.py"""

import os
from pathlib import Path

import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer

from onnx_types import described


class OnnxModel(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.session = onnxruntime.InferenceSession(path)
        self.inputs = [described(each) for each in self.session.get_inputs()]
        self.outputs = [described(each) for each in self.session.get_outputs()]
        self.ready = True

    async def get_input_types(self):
        return self.inputs

    async def get_output_types(self):
        return self.outputs

    def predict(self, payload, headers=None, response_headers=None):
        arrays = self.session.run(None, {each.name: each.as_numpy() for each in payload.inputs})
        outputs = []
        for tensor, array in zip(self.outputs, arrays):
            output = InferOutput(tensor["name"], list(array.shape), tensor["datatype"])
            output.set_data_from_numpy(array, binary_data=True)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or "1",
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


folder = Path(__file__).parent
models = [OnnxModel(path.parent.name, str(path)) for path in sorted(folder.glob("*/model.onnx"))]
ModelServer(
    http_port=int(os.environ.get("HTTP_PORT", "8080")), grpc_port=int(os.environ.get("GRPC_PORT", "8081"))
).start(models)
`

/** The class of MLServer that runs a \`model.onnx\`. */
export const mlserverScript = `"""Runs a model.onnx in MLServer: mlserver start . (in the folder above)."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, ResponseOutput

from onnx_types import described


class OnnxModel(MLModel):
    async def load(self) -> bool:
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri)
        self.inputs = [MetadataTensor(**described(each)) for each in self.session.get_inputs()]
        self.outputs = [MetadataTensor(**described(each)) for each in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        arrays = self.session.run(None, {each.name: decoded(each) for each in payload.inputs})
        outputs = []
        for tensor, array in zip(self.outputs, arrays):
            data = array.ravel().tolist()
            outputs.append(
                ResponseOutput(name=tensor.name, datatype=tensor.datatype, shape=list(array.shape), data=data)
            )
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def decoded(tensor):
    if tensor.datatype != "BYTES":
        return NumpyCodec.decode_input(tensor)
    return np.array(StringCodec.decode_input(tensor), dtype=object).reshape(tensor.shape)
`

/** How both servers describe tensors of ONNX Runtime. */
export const typesScript = `TYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


def described(tensor):
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "datatype": TYPES[tensor.type], "shape": shape}
`
