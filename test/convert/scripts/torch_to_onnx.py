"""Converts what torch.export.save() wrote: python torch_to_onnx.py model.pt2 model.onnx"""
import sys

import torch

source, output = sys.argv[1:]
program = torch.export.load(source)
# The names of a dict that forward() returns are lost otherwise.
spec = program.call_spec.out_spec
names = list(spec.context) if spec is not None and spec.type is dict else None
converted = torch.onnx.export(program, dynamo=True, output_names=names)
converted.save(output, external_data=False)
