#pragma once

#include "log.h"

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

// Dims of one input that are fixed before the build; -1 leaves one open.
struct FixedInput {
  std::string input;
  std::vector<int64_t> dims;
};

// Everything has TensorRT's own name; what is not set keeps TensorRT's default.
struct BuildSettings {
  std::string parser;                    // path of the parser library
  std::string model;                     // path of an ONNX file, external data beside it
  std::string output;                    // path that the engine is written to
  std::vector<int> computeCapabilities;  // TensorRT-RTX only
  std::vector<FixedInput> fixed;
  std::vector<Profile> profiles;
  std::vector<std::string> flags;     // of nvinfer1::BuilderFlag, without the k: "REFIT_IDENTICAL"
  std::string hardwareCompatibility;  // "none", "ampere+", "same-compute-capability"; TensorRT only
  std::string profilingVerbosity;     // "layer-names-only", "none", "detailed"
  std::optional<int> builderOptimizationLevel;
  std::optional<int> maxAuxStreams;
  std::optional<uint64_t> workspace;  // bytes
  std::string timingCache;            // path, TensorRT only; "" for none
  bool verbose = false;               // logs infos too, which are tens of thousands for a large network
};

// Opens the library, parses, builds and writes the engine as TensorRT makes it, without a copy of it in memory. Blocks
// for as long as that takes. Throws std::runtime_error: with every error of the parser, or with the last errors that
// the builder logged.
void build(const std::string& library, const BuildSettings& settings, const LogSink& log);

// Versions of a library of any family and of its parser (0 without one): asking is safe before the family is known.
// Throws std::runtime_error for files that are not such libraries.
struct Versions {
  std::string library;  // "1.7.1.116"
  int parser = 0;       // major * 10000 + minor * 100 + patch
};

Versions versionsOf(const std::string& library, const std::string& parser);

}  // namespace onnx_engine::tensorrt
