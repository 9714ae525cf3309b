#pragma once

#include "../handle.h"
#include "../library.h"

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

namespace onnx_engine::onnxruntime {

// An opened ONNX Runtime with the one environment that it has in a process. Any thread.
//
// Its C API is one table of functions, which later releases only append to. We ask for the table of ORT_API_VERSION, so
// this addon runs on that release (1.24) and on every later one.
class Library {
 public:
  // One per path and process, never freed: ONNX Runtime's statics outlive every model, and two environments of one
  // process (worker_threads) share it. onnxruntime-node shares it too where it opens the same file. Throws
  // std::runtime_error when the file is no library, is not ONNX Runtime, or is too old.
  static const Library& open(const std::string& path);

  const OrtApi& api() const { return *api_; }
  OrtEnv* environment() const { return environment_; }

  // Where tensors of JavaScript lie.
  const OrtMemoryInfo* memory() const { return memory_; }

  OrtAllocator* allocator() const { return allocator_; }

  // For example "1.30.0".
  const std::string& version() const { return version_; }

  // Throws std::runtime_error with ONNX Runtime's text, and frees the status.
  void check(OrtStatus* status) const;

 private:
  explicit Library(const std::string& path);

  SharedLibrary library_;
  std::string version_;
  const OrtApi* api_ = nullptr;
  OrtEnv* environment_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  OrtAllocator* allocator_ = nullptr;
};

}  // namespace onnx_engine::onnxruntime
