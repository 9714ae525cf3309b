#pragma once

#include <string>

namespace onnx_engine::tensorrt {

// The version of a TensorRT or TensorRT-RTX library.
struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
  int build = 0;

  std::string text() const;

  // As TensorRT's own interfaces take it: 101501 for 10.15.1.
  int number() const { return major * 10000 + minor * 100 + patch; }
};

}  // namespace onnx_engine::tensorrt
