"""Quantizes a model with ONNX Runtime's quantize_static, as its documentation says.

usage: quantize.py SETTINGS FROM TO SAMPLES COUNT

SETTINGS is `default`, or words of: `pre` (quant_pre_process first), `opset` (convert to opset 17 first), `channels` (per channel), `u8` (uint8
activations), `percentile`. SAMPLES is a folder of .npy files for the model's one input. Prints, as JSON, null or why there is no model.
"""

import contextlib
import glob
import json
import logging
import sys

# A module that onnxruntime loads has the name of the script beside this one.
sys.path.pop(0)

import numpy
import onnx
import onnx.version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Samples(CalibrationDataReader):
    def __init__(self, name, folder, count):
        self.name = name
        self.files = iter(sorted(glob.glob(f'{folder}/*.npy'))[:count])

    def get_next(self):
        file = next(self.files, None)
        return None if file is None else {self.name: numpy.load(file)}


def quantize(settings, source, target, folder, count):
    name = onnx.load(source, load_external_data=False).graph.input[0].name
    if 'opset' in settings:
        upgraded = f'{target}.opset.onnx'
        onnx.save(onnx.version_converter.convert_version(onnx.load(source), 17), upgraded)
        source = upgraded
    if 'pre' in settings:
        prepared = f'{target}.pre.onnx'
        # Symbolic shape inference fails on models whose image size is dynamic.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        source = prepared
    chosen = {}
    if 'channels' in settings:
        chosen['per_channel'] = True
    if 'u8' in settings:
        chosen['activation_type'] = QuantType.QUInt8
    if 'percentile' in settings:
        chosen['calibrate_method'] = CalibrationMethod.Percentile
    quantize_static(source, target, Samples(name, folder, count), **chosen)


logging.disable()
settings, source, target, folder, count = sys.argv[1:]
try:
    # The calibrators print what they do.
    with contextlib.redirect_stdout(sys.stderr):
        quantize(settings.split('-'), source, target, folder, int(count))
    print('null')
except Exception as problem:
    print(json.dumps(f'{type(problem).__name__}: {problem}'[:200]))
