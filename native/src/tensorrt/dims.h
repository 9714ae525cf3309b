#pragma once

#include "../format.h"

#include <NvInferRuntime.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace onnx_engine::tensorrt {

inline nvinfer1::Dims toDims(const std::vector<int64_t>& values) {
  nvinfer1::Dims dims{};
  if (values.size() > nvinfer1::Dims::MAX_DIMS)
    throw std::runtime_error(format("TensorRT takes at most {} dims, received {}",
                                    static_cast<int>(nvinfer1::Dims::MAX_DIMS), values.size()));
  dims.nbDims = static_cast<int32_t>(values.size());
  for (size_t i = 0; i < values.size(); i++) dims.d[i] = values[i];
  return dims;
}

// Empty for unknown dims, to which TensorRT gives a negative rank.
inline std::vector<int64_t> fromDims(const nvinfer1::Dims& dims) {
  if (dims.nbDims < 0) return {};
  return {dims.d, dims.d + dims.nbDims};
}

}  // namespace onnx_engine::tensorrt
