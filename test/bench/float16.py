"""Converts models to float16 as the documentation of a converter says, inputs and outputs kept.

usage: float16.py onnxconverter-common|onnxruntime FROM TO [FROM TO ...]

Prints, as JSON, what became of each model (null, or why it was not converted), and the peak memory of this process in MB (null on Windows).
"""

import json
import sys

import onnx
from onnxconverter_common import float16 as common
from onnxruntime.transformers import float16 as transformers


def main(name, *paths):
    converter = {'onnxconverter-common': common, 'onnxruntime': transformers}[name]
    problems = [convert(converter, source, target) for source, target in zip(paths[::2], paths[1::2])]
    print(json.dumps({'problems': problems, 'peak': peak()}))


def convert(converter, source, target):
    try:
        onnx.save(converter.convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    except Exception as problem:
        return f'{type(problem).__name__}: {problem}'[:200]


def peak():
    try:
        import resource
    except ImportError:
        return None
    # Linux counts in KB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)


main(*sys.argv[1:])
