"""A network written in code: python network.py model.onnx"""
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["features", "weights"], ["hidden"]),
        helper.make_node("Softmax", ["hidden"], ["scores"], axis=1),
    ],
    "network",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 4])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
    [numpy_helper.from_array(weights, "weights")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(model)
save(model, sys.argv[-1])
