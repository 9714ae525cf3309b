"""Prints, as JSON, what the ONNX library's checker says against the models in a folder: {file name: message}. Empty when all are valid."""

import json
import pathlib
import sys

import onnx

problems = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob('*.onnx')):
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except Exception as problem:
        problems[file.name] = str(problem)
print(json.dumps(problems))
