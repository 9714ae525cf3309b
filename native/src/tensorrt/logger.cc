#include "logger.h"

namespace onnx_engine::tensorrt {

namespace {

constexpr size_t keptErrors = 8;

}  // namespace

void Logger::log(nvinfer1::ILogger::Severity severity, const char* text) noexcept {
  using Level = nvinfer1::ILogger::Severity;
  try {
    const std::string line = text == nullptr ? "" : text;
    const bool error = severity == Level::kERROR || severity == Level::kINTERNAL_ERROR;
    if (error) {
      const std::lock_guard<std::mutex> lock(mutex_);
      // One failure is often told twice in the same words.
      if (errors_.empty() || errors_.back() != line) errors_.push_back(line);
      if (errors_.size() > keptErrors) errors_.pop_front();
    }
    if (sink_) sink_(error ? LogLevel::error : severity == Level::kWARNING ? LogLevel::warning : LogLevel::info, line);
  } catch (...) {
    // Out of memory: a lost line must not end the process from inside TensorRT.
  }
}

std::string Logger::errors(const std::string& otherwise) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return join(otherwise);
}

std::string Logger::take(const std::string& otherwise) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string all = join(otherwise);
  errors_.clear();
  return all;
}

std::string Logger::join(const std::string& otherwise) const {
  std::string all;
  for (const auto& line : errors_) all += all.empty() ? line : "\n" + line;
  return all.empty() ? otherwise : all;
}

}  // namespace onnx_engine::tensorrt
