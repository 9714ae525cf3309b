#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace onnx_engine::tensorrt {

// Bounds of one input in one optimization profile: of the dims of a dynamic input, or of the values of a shape tensor.
struct ProfiledInput {
  std::string input;
  bool values = false;
  std::vector<int64_t> min;
  std::vector<int64_t> opt;
  std::vector<int64_t> max;
};

using Profile = std::vector<ProfiledInput>;

// Dims of one input that are fixed before the build; -1 leaves a dim open.
struct FixedInput {
  std::string input;
  std::vector<int64_t> dims;
};

// The names are TensorRT's own; what is not set keeps TensorRT's default.
struct BuildSettings {
  std::string parser;                    // path of the parser library
  std::string plugins;                   // path of the plugin library; "" for none
  std::string model;                     // path of an ONNX file, next to its external data
  std::string output;                    // path of the engine file to write
  std::vector<int> computeCapabilities;  // TensorRT-RTX only
  std::vector<FixedInput> fixed;
  std::vector<Profile> profiles;
  std::vector<std::string> flags;     // names in nvinfer1::BuilderFlag, without the k: "REFIT_IDENTICAL"
  std::string hardwareCompatibility;  // "none", "ampere+", "same-compute-capability"; TensorRT only
  std::string profilingVerbosity;     // "layer-names-only", "none", "detailed"
  std::optional<int> builderOptimizationLevel;
  std::optional<int> maxAuxStreams;
  std::optional<uint64_t> workspace;  // bytes
  std::string timingCache;            // path, TensorRT only; "" for none
  bool verbose = false;               // also logs infos: tens of thousands of lines for a large network
};

}  // namespace onnx_engine::tensorrt
