#pragma once

#include <functional>
#include <string>

namespace onnx_engine::tensorrt {

// A phase is the name of what the builder is doing now.
enum class LogLevel { error, warning, info, phase };

// Called on any thread of TensorRT, one line at a time.
using LogSink = std::function<void(LogLevel, const std::string&)>;

}  // namespace onnx_engine::tensorrt
