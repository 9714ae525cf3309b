#include "models.h"

namespace onnx_engine::onnxruntime {

namespace {

// Protocol Buffers: a field's number and kind, then a number (0) or a length and bytes (2). Field numbers: onnx.proto.
std::string number(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

std::string field(int index, uint64_t value) { return number(static_cast<uint64_t>(index) << 3) + number(value); }

std::string field(int index, const std::string& bytes) {
  return number(static_cast<uint64_t>(index) << 3 | 2) + number(bytes.size()) + bytes;
}

std::string valueInfo(const ModelPort& port) {
  std::string shape;
  for (const auto& dim : port.dims) {
    const bool isNumber = dim.find_first_not_of("0123456789") == std::string::npos;
    shape += field(1, isNumber ? field(1, std::stoull(dim)) : field(2, dim));
  }
  const std::string tensor = field(1, static_cast<uint64_t>(port.type)) + field(2, shape);
  return field(1, port.name) + field(2, field(1, tensor));
}

}  // namespace

std::string modelBytes(const std::vector<ModelPort>& inputs, const std::vector<ModelPort>& outputs,
                       const std::vector<ModelNode>& nodes) {
  std::string graph;
  for (const auto& node : nodes) {
    std::string bytes;
    for (const auto& input : node.inputs) bytes += field(1, input);
    for (const auto& output : node.outputs) bytes += field(2, output);
    graph += field(1, bytes + field(4, node.op));
  }
  graph += field(2, std::string("model"));
  for (const auto& input : inputs) graph += field(11, valueInfo(input));
  for (const auto& output : outputs) graph += field(12, valueInfo(output));
  return field(1, 8) + field(8, field(2, 17)) + field(7, graph);
}

std::string productsModel(int products) {
  std::vector<ModelNode> nodes;
  for (int i = 0; i < products; i++) {
    const std::string input = i == 0 ? "x" : "x" + std::to_string(i);
    const std::string output = i + 1 == products ? "y" : "x" + std::to_string(i + 1);
    nodes.push_back({"MatMul", {input, "x"}, {output}});
  }
  return modelBytes({{"x", 1, {"n", "n"}}}, {{"y", 1, {"n", "n"}}}, nodes);
}

std::string identityModel(int type, size_t rank) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < rank; i++) dims.push_back("d" + std::to_string(i));
  return modelBytes({{"x", type, dims}}, {{"y", type, dims}}, {{"Identity", {"x"}, {"y"}}});
}

std::vector<float> diagonal(int64_t size, float value) {
  std::vector<float> values(static_cast<size_t>(size * size), 0);
  for (int64_t i = 0; i < size; i++) values[static_cast<size_t>(i * size + i)] = value;
  return values;
}

}  // namespace onnx_engine::onnxruntime
