"""MLServer with the models of the folder MODELS, on HTTP_PORT and GRPC_PORT."""

import asyncio
import os

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor, ResponseOutput
from onnx_models import OnnxModel, models


class Served(MLModel):
    async def load(self) -> bool:
        self.onnx = OnnxModel(self.settings.parameters.uri)
        self.inputs = [MetadataTensor(**each) for each in self.onnx.inputs]
        self.outputs = [MetadataTensor(**each) for each in self.onnx.outputs]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        arrays = {each.name: decoded(each) for each in payload.inputs}
        results = self.onnx.run(arrays)
        outputs = []
        for tensor, array in zip(self.outputs, results):
            data = array.ravel().tolist()
            outputs.append(
                ResponseOutput(name=tensor.name, datatype=tensor.datatype, shape=list(array.shape), data=data)
            )
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def decoded(tensor):
    if tensor.datatype != "BYTES":
        return NumpyCodec.decode_input(tensor)
    return np.array(StringCodec.decode_input(tensor), dtype=object).reshape(tensor.shape)


async def main():
    settings = Settings(
        host="127.0.0.1",
        http_port=int(os.environ["HTTP_PORT"]),
        grpc_port=int(os.environ["GRPC_PORT"]),
        metrics_endpoint=None,
        parallel_workers=0,
        grpc_max_message_length=-1,
    )
    server = MLServer(settings)
    await server.start(
        [
            ModelSettings(name=name, implementation=Served, parameters=ModelParameters(uri=path, version="1"))
            for name, path in models().items()
        ]
    )


asyncio.run(main())
