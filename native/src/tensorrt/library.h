#pragma once

#include "../library.h"
#include "logger.h"
#include "version.h"

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <memory>
#include <mutex>
#include <string>

namespace onnx_engine::tensorrt {

// The version of the library at this path. Asking the library is safe for every ABI family, because these are C
// functions that never changed. Throws std::runtime_error when it is not a TensorRT library.
Version versionOf(const std::string& path);

// An opened TensorRT or TensorRT-RTX library of this addon's ABI family. Any thread. Its C++ interfaces are tables of
// numbered functions, and the numbers change between families: in a library of another family we would call the wrong
// functions.
class Library {
 public:
  // One per path and process, never closed. Throws std::runtime_error, naming both versions, for a library of another
  // family.
  static const Library& open(const std::string& path);

  const Version& version() const { return version_; }

  // Both throw std::runtime_error: without a GPU where the product needs one, or with TensorRT's text.
  std::unique_ptr<nvinfer1::IBuilder> createBuilder(Logger& logger) const;
  std::unique_ptr<nvinfer1::IRuntime> createRuntime(Logger& logger) const;

 private:
  explicit Library(const std::string& path);

  SharedLibrary library_;
  Version version_;
  void* (*createBuilder_)(void*, int32_t) noexcept;
  void* (*createRuntime_)(void*, int32_t) noexcept;
};

// The ONNX parser that belongs to a library, in a file of its own.
class ParserLibrary {
 public:
  static const ParserLibrary& open(const std::string& path);

  // Version of the parser's interface: major * 10000 + minor * 100 + patch.
  int version() const { return version_; }

  std::unique_ptr<nvonnxparser::IParser> create(nvinfer1::INetworkDefinition& network, Logger& logger) const;

 private:
  explicit ParserLibrary(const std::string& path);

  SharedLibrary library_;
  int version_;
  void* (*create_)(void*, void*, int) noexcept;
};

}  // namespace onnx_engine::tensorrt
