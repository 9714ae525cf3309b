#pragma once

#include "gpu.h"

namespace onnx_engine::tensorrt {

// The bytes of an engine file.
struct PlanBytes {
  const void* data = nullptr;
  size_t size = 0;
};

struct PlanSettings {
  // The result of Plan::runtimeCache at an earlier load, or nothing; one that does not fit is ignored. TensorRT-RTX
  // only.
  const void* runtimeCache = nullptr;
  size_t runtimeCacheBytes = 0;
  bool graphs = true;
  // Allows a version-compatible plan to run the lean runtime that it carries. TensorRT only.
  bool hostCode = false;
  // Path of the plugin library, for engines with plugins; "" for none. TensorRT only.
  std::string plugins;
};

// Deserializes an engine on the GPU that is current on this thread. The bytes are needed only until this returns.
// Throws std::runtime_error with the reason found in the engine's header, or with TensorRT's text.
std::unique_ptr<Plan> deserialize(const std::string& library, const PlanBytes& plan, const PlanSettings& settings);

}  // namespace onnx_engine::tensorrt
