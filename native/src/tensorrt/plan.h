#pragma once

#include "gpu.h"

namespace onnx_engine::tensorrt {

struct PlanSettings {
  // What an earlier load gave, or nothing; one that does not fit is ignored. TensorRT-RTX only.
  const void* runtimeCache = nullptr;
  size_t runtimeCacheBytes = 0;
  bool graphs = true;
  // Lets a version-compatible plan run the lean runtime that it brings. TensorRT only.
  bool hostCode = false;
};

// Deserializes an engine on the GPU that is current on this thread. All bytes are needed no longer than this takes.
// Throws std::runtime_error: with the verdict on the engine's header in words, or with TensorRT's text.
std::unique_ptr<Plan> deserialize(const std::string& library, const void* bytes, size_t size,
                                  const PlanSettings& settings);

}  // namespace onnx_engine::tensorrt
