"""Converts a Keras model: python keras_to_onnx.py model.keras model.onnx"""
import sys

import keras

source, output = sys.argv[1:]
keras.models.load_model(source).export(output, format="onnx", verbose=False)
