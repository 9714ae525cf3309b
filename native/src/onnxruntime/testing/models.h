#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace onnx_engine::onnxruntime {

// An input or output: its element type by ONNX's number, and its dims, of which each is a number or a name.
struct ModelPort {
  std::string name;
  int type;
  std::vector<std::string> dims;
};

struct ModelNode {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

// The bytes of an ONNX model (opset 17).
std::string modelBytes(const std::vector<ModelPort>& inputs, const std::vector<ModelPort>& outputs,
                       const std::vector<ModelNode>& nodes);

// y = x * x * ... * x of `products` square float32 matrices of any size: no weights, and as slow as one likes.
std::string productsModel(int products);

// y = x, of an element type by ONNX's number and dims of any size.
std::string identityModel(int type, size_t rank);

// A square matrix with one value on its diagonal, row by row.
std::vector<float> diagonal(int64_t size, float value);

}  // namespace onnx_engine::onnxruntime
