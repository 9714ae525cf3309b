#pragma once

#include "gpu.h"

namespace onnx_engine::tensorrt {

// Opens a GPU by its index, in the primary context, which TensorRT uses too. Throws std::runtime_error, with a message
// for users, when there is no such GPU.
std::shared_ptr<Device> openDevice(int index);

}  // namespace onnx_engine::tensorrt
