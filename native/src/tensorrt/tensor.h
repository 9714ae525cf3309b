#pragma once

#include "staging.h"

namespace onnx_engine::tensorrt {

// The bytes of an input or output: in a pinned block, in memory of its own, or borrowed from the caller, who keeps them
// alive and unchanged.
struct Tensor {
  Staging::Block block;
  std::unique_ptr<uint8_t[]> own;
  const void* data = nullptr;
  size_t bytes = 0;
  std::vector<int64_t> dims;
};

// Where the caller wants an output of exactly this size; null for memory of its own.
struct Target {
  void* data = nullptr;
  size_t bytes = 0;
};

// Size of a tensor of the port. Throws std::runtime_error for dims that are negative or too large to count.
size_t byteSize(const Port& port, const std::vector<int64_t>& dims);

// The number of the first profile whose bounds include the dims of the inputs and the values of shape tensors. Throws
// std::runtime_error, with the dims, when there is none.
size_t profileFor(const Plan& plan, const std::vector<Tensor>& inputs);

// The values of a shape tensor, which are int32 or int64.
std::vector<int64_t> valuesOf(const Port& port, const Tensor& tensor);

}  // namespace onnx_engine::tensorrt
