"""Prints the mean milliseconds of a call: tritonclient_calls.py ADDRESS DIMS CALLS."""

import sys
import time

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput

address, dims, calls = sys.argv[1], [int(dim) for dim in sys.argv[2].split("x")], int(sys.argv[3])
client = InferenceServerClient(address)
name = client.get_model_metadata("cls").inputs[0].name
data = np.sin(np.arange(np.prod(dims), dtype=np.float32)).reshape(dims)


def call():
    tensor = InferInput(name, dims, "FP32")
    tensor.set_data_from_numpy(data)
    result = client.infer("cls", [tensor])
    return result.as_numpy(result.get_response().outputs[0].name)


for _ in range(20):
    call()
start = time.perf_counter()
for _ in range(calls):
    call()
print((time.perf_counter() - start) / calls * 1000)
