#pragma once

#include "log.h"

#include <NvInferRuntime.h>

#include <deque>
#include <mutex>
#include <string>

namespace onnx_engine::tensorrt {

// Takes what TensorRT says: passes it on, and keeps the last errors, since a failed call itself only returns false or
// null. TensorRT holds a pointer to it for as long as any of its objects live.
class Logger : public nvinfer1::ILogger {
 public:
  explicit Logger(LogSink sink = {}) : sink_(std::move(sink)) {}

  void log(nvinfer1::ILogger::Severity severity, const char* text) noexcept override;

  // The last errors, oldest first, one a line; or what stands in for them when there was none.
  std::string errors(const std::string& otherwise = "TensorRT gave no reason") const;

  // The same, and forgets them: what comes next belongs to another call.
  std::string take(const std::string& otherwise = "TensorRT gave no reason");

 private:
  std::string join(const std::string& otherwise) const;

  LogSink sink_;
  mutable std::mutex mutex_;
  std::deque<std::string> errors_;
};

}  // namespace onnx_engine::tensorrt
