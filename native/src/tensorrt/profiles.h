#pragma once

#include "build_settings.h"
#include "logger.h"
#include "version.h"

#include <NvInfer.h>

namespace onnx_engine::tensorrt {

// The objects of one build.
struct Build {
  nvinfer1::IBuilder& builder;
  nvinfer1::INetworkDefinition& network;
  nvinfer1::IBuilderConfig& config;
  const Version& version;
  const Logger& logger;
};

// Fixes dims of inputs. The parser drops inputs that no node uses: here and below they are skipped.
void fixDims(nvinfer1::INetworkDefinition& network, const std::vector<FixedInput>& inputs);

// Adds the optimization profiles. Throws std::runtime_error, naming profile and input, for bounds that TensorRT
// refuses, and for a shape tensor without bounds of its values.
void addProfiles(const Build& build, const std::vector<Profile>& profiles);

}  // namespace onnx_engine::tensorrt
