#include "logger.h"

namespace onnx_engine::tensorrt {

namespace {

constexpr size_t keptErrors = 8;

LogLevel levelOf(nvinfer1::ILogger::Severity severity) {
  using Severity = nvinfer1::ILogger::Severity;
  if (severity == Severity::kERROR || severity == Severity::kINTERNAL_ERROR) return LogLevel::error;
  return severity == Severity::kWARNING ? LogLevel::warning : LogLevel::info;
}

}  // namespace

void Logger::log(nvinfer1::ILogger::Severity severity, const char* text) noexcept {
  try {
    const std::string line = text == nullptr ? "" : text;
    if (levelOf(severity) == LogLevel::error) {
      const std::lock_guard<std::mutex> lock(mutex_);
      // TensorRT often logs one failure twice in the same words.
      if (errors_.empty() || errors_.back() != line) errors_.push_back(line);
      if (errors_.size() > keptErrors) errors_.pop_front();
    }
    if (sink_) sink_(levelOf(severity), line);
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
