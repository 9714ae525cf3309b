"""Parses config.pbtxt files with NVIDIA's own descriptor, and prints them as JSON: parse.py FILE..."""

import json
import sys

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

configs = []
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as source:
        config = text_format.Parse(source.read(), model_config_pb2.ModelConfig())
    configs.append(json_format.MessageToDict(config, preserving_proto_field_name=True))
print(json.dumps(configs))
