#pragma once

#include "library.h"

#include <vector>

namespace onnx_engine::onnxruntime {

// An element type by the name that JavaScript knows it by. A string has 0 bytes.
struct ElementType {
  ONNXTensorElementDataType type;
  const char* name;
  size_t bytes;
};

// Throws std::runtime_error for a type that no typed array can carry.
const ElementType& elementType(ONNXTensorElementDataType type);

// Throws std::runtime_error when the product cannot be counted.
size_t elementCount(const std::vector<int64_t>& dims);

// An input. Bytes are someone else's; strings are UTF-8, and may hold NUL characters.
struct Tensor {
  void* data = nullptr;
  size_t bytes = 0;
  std::vector<std::string> strings;
  std::vector<int64_t> dims;
};

// Memory for an output whose dims are known before the run; null data where they are not.
struct Target {
  void* data = nullptr;
  size_t bytes = 0;
  std::vector<int64_t> dims;
};

// An output.
struct Output {
  // Its bytes were written into its target, whose dims it has: nothing else is set.
  bool inTarget = false;
  Handle<OrtValue> value{nullptr, nullptr};
  const void* data = nullptr;
  size_t bytes = 0;
  std::vector<std::string> strings;
  std::vector<int64_t> dims;
};

// A tensor of ONNX Runtime over the same bytes, or with copies of the strings. Throws std::runtime_error when bytes and
// dims do not fit.
Handle<OrtValue> toValue(const Library& library, const ElementType& type, const Tensor& tensor);
Handle<OrtValue> toValue(const Library& library, const ElementType& type, const Target& target);

// What a tensor of ONNX Runtime holds. Throws std::runtime_error for what is no tensor, or one of another type: reading
// its bytes as `type` would give wrong numbers without an error.
Output fromValue(const Library& library, const ElementType& type, Handle<OrtValue> value);

}  // namespace onnx_engine::onnxruntime
