#pragma once

#include <functional>
#include <string>

namespace onnx_engine::tensorrt {

// `phase`: the line is the name of the builder's current phase.
enum class LogLevel { error, warning, info, phase };

// Called on any thread of TensorRT, one line at a time.
using LogSink = std::function<void(LogLevel, const std::string&)>;

}  // namespace onnx_engine::tensorrt
