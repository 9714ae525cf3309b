"""Converts a scikit-learn pipeline: python sklearn_to_onnx.py pipeline.joblib model.onnx"""
import sys

import joblib
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

source, output = sys.argv[1:]
pipeline = joblib.load(source)  # runs code of the file: load only what you trust
features = [("features", FloatTensorType([None, pipeline.n_features_in_]))]
# Without zipmap=False the probabilities are a list of maps, which is no tensor.
options = {id(pipeline): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else {}
model = to_onnx(pipeline, initial_types=features, options=options, target_opset=17)
with open(output, "wb") as file:
    file.write(model.SerializeToString())
