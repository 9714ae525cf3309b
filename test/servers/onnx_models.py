"""The models of a folder of .onnx files, run by onnxruntime, for both servers."""

import os
import time
from pathlib import Path

import numpy as np
import onnxruntime

TYPES = {
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


class OnnxModel:
    def __init__(self, path: str):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # For calls that must still run when the test kills the server or stops to wait.
        self.seconds = 2 if Path(path).stem == "slow" else 0
        self.session = onnxruntime.InferenceSession(path, options)
        self.inputs = [described(each) for each in self.session.get_inputs()]
        self.outputs = [described(each) for each in self.session.get_outputs()]

    def run(self, inputs):
        time.sleep(self.seconds)
        return self.session.run(None, {name: text(array) for name, array in inputs.items()})


def models():
    return {path.stem: str(path) for path in sorted(Path(os.environ["MODELS"]).glob("*.onnx"))}


def described(binding):
    shape = [size if isinstance(size, int) else -1 for size in binding.shape]
    return {"name": binding.name, "datatype": TYPES[binding.type], "shape": shape}


def text(array):
    if array.dtype != object:
        return array
    return np.array([each.decode() if isinstance(each, bytes) else each for each in array.ravel()], dtype=object).reshape(
        array.shape
    )
