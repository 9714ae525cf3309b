#pragma once

#include "build_settings.h"
#include "log.h"

namespace onnx_engine::tensorrt {

// Opens the library, parses the model, and writes the engine to its file piece by piece as TensorRT makes it, without a
// copy in memory. Blocks for the whole build. Throws std::runtime_error with every error of the parser, or with the
// last errors that the builder logged.
void build(const std::string& library, const BuildSettings& settings, const LogSink& log);

struct Versions {
  std::string library;  // "1.7.1.116"
  int parser = 0;       // major * 10000 + minor * 100 + patch; 0 without a parser
};

// The versions of a library of any ABI family and of its parser: safe to ask before the family is known. Throws
// std::runtime_error for files that are not such libraries.
Versions versionsOf(const std::string& library, const std::string& parser);

}  // namespace onnx_engine::tensorrt
