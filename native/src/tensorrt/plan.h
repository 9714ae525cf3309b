#pragma once

#include "gpu.h"

namespace onnx_engine::tensorrt {

// Deserializes an engine on the GPU that is current on this thread. `runtimeCache` is what an earlier load gave, or empty; one that does
// not fit is ignored. Throws std::runtime_error: with the verdict on the engine's header in words, or with TensorRT's text.
std::unique_ptr<Plan> deserialize(const std::string& library, const void* bytes, size_t size, const std::vector<char>& runtimeCache);

}  // namespace onnx_engine::tensorrt
