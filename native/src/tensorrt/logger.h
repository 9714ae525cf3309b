#pragma once

#include "log.h"

#include <NvInferRuntime.h>

#include <deque>
#include <mutex>
#include <string>

namespace onnx_engine::tensorrt {

// Receives the messages of TensorRT, passes them on, and keeps the last errors: a failed call itself only returns false
// or null. It must outlive all objects that were created with it.
class Logger : public nvinfer1::ILogger {
 public:
  explicit Logger(LogSink sink = {}) : sink_(std::move(sink)) {}

  void log(nvinfer1::ILogger::Severity severity, const char* text) noexcept override;

  // The last errors, oldest first, one per line; `otherwise` when there were none.
  std::string errors(const std::string& otherwise = "TensorRT gave no reason") const;

  // The same, and then forgets them: later errors belong to another call.
  std::string take(const std::string& otherwise = "TensorRT gave no reason");

 private:
  std::string join(const std::string& otherwise) const;

  LogSink sink_;
  mutable std::mutex mutex_;
  std::deque<std::string> errors_;
};

}  // namespace onnx_engine::tensorrt
