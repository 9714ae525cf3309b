#pragma once

#include "library.h"

namespace onnx_engine::openvino {

// Bounds of each dim of one input, inclusive: equal ones fix it, a max of -1 leaves it open.
struct InputShape {
  std::string input;
  std::vector<ov_dimension_t> dims;
};

struct BuildSettings {
  std::string model;   // path of an ONNX file, external data beside it
  std::string output;  // path that the blob is written to
  std::string device;
  Properties properties;
  std::vector<InputShape> shapes;
};

// Compiles and exports. Blocks for as long as the compilation takes; throws std::runtime_error with OpenVINO's text.
void build(const Library& library, const BuildSettings& settings);

}  // namespace onnx_engine::openvino
