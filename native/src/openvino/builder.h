#pragma once

#include "library.h"

namespace onnx_engine::openvino {

// Bounds of each dim of one input, inclusive: equal bounds fix a dim, a max of -1 leaves it open.
struct InputShape {
  std::string input;
  std::vector<ov_dimension_t> dims;
};

struct BuildSettings {
  std::string model;   // path of an ONNX file, next to its external data
  std::string output;  // path of the blob to write
  std::string device;
  Properties properties;
  std::vector<InputShape> shapes;
};

// Compiles the model and exports the blob. Blocks meanwhile; throws std::runtime_error with OpenVINO's text.
void build(const Library& library, const BuildSettings& settings);

}  // namespace onnx_engine::openvino
