"""KServe with the models of the folder MODELS, on HTTP_PORT and GRPC_PORT."""

import os

from kserve import InferOutput, InferResponse, Model, ModelServer
from onnx_models import OnnxModel, models


class Served(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.onnx = OnnxModel(path)
        self.ready = True

    async def get_input_types(self):
        return self.onnx.inputs

    async def get_output_types(self):
        return self.onnx.outputs

    def predict(self, payload, headers=None, response_headers=None):
        results = self.onnx.run({each.name: each.as_numpy() for each in payload.inputs})
        outputs = []
        for described, array in zip(self.onnx.outputs, results):
            output = InferOutput(described["name"], list(array.shape), described["datatype"])
            output.set_data_from_numpy(array, binary_data=True)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or "1",
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


ModelServer(
    http_port=int(os.environ["HTTP_PORT"]), grpc_port=int(os.environ["GRPC_PORT"]), workers=1, enable_docs_url=False
).start([Served(name, path) for name, path in models().items()])
