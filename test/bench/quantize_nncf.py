"""Quantizes a model with NNCF's post-training quantization, as its documentation says.

usage: quantize_nncf.py SETTINGS FROM TO SAMPLES COUNT

SETTINGS is `default`, or words of: `opset` (to 17 first, where scales for channels do not exist yet), `mixed` (uint8
activations where they have two signs). SAMPLES is a folder of .npy files for the model's one input. Prints, as JSON,
null or why there is no model.
"""

import contextlib
import glob
import json
import logging
import os
import sys

# Modules beside this one have names of modules that packages load.
sys.path.pop(0)
# No calls home.
os.environ['NNCF_CI'] = '1'

import nncf
import numpy
import onnx
import onnx.version_converter


def quantize(settings, source, target, folder, count):
    model = onnx.load(source)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ('', 'ai.onnx'))
    if 'opset' in settings and opset < 13:
        model = onnx.version_converter.convert_version(model, 17)
    name = model.graph.input[0].name
    files = sorted(glob.glob(f'{folder}/*.npy'))[:count]
    samples = nncf.Dataset(files, lambda file: {name: numpy.load(file)})
    preset = nncf.QuantizationPreset.MIXED if 'mixed' in settings else nncf.QuantizationPreset.PERFORMANCE
    onnx.save(nncf.quantize(model, samples, preset=preset, subset_size=count), target)


logging.disable()
settings, source, target, folder, count = sys.argv[1:]
try:
    # Its progress bars go to the output.
    with contextlib.redirect_stdout(sys.stderr):
        quantize(settings.split('-'), source, target, folder, int(count))
    print('null')
except Exception as problem:
    print(json.dumps(f'{type(problem).__name__}: {problem}'[:200]))
