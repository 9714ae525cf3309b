#pragma once

#include "gpu.h"

namespace onnx_engine::tensorrt {

// A GPU by its index, in the primary context that TensorRT uses too. Throws std::runtime_error, in words for a user,
// when there is none.
std::shared_ptr<Device> openDevice(int index);

}  // namespace onnx_engine::tensorrt
