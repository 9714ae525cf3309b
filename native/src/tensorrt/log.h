#pragma once

#include <functional>
#include <string>

namespace onnx_engine::tensorrt {

enum class LogLevel { error, warning, info };

// Called on any thread of TensorRT, one line at a time.
using LogSink = std::function<void(LogLevel, const std::string&)>;

}  // namespace onnx_engine::tensorrt
