#pragma once

#include "builder.h"
#include "logger.h"

#include <NvInfer.h>

namespace onnx_engine::tensorrt {

// Fixes dims of inputs. One that no node uses has been dropped by the parser, here and below.
void fixDims(nvinfer1::INetworkDefinition& network, const std::vector<FixedInput>& inputs);

// Adds the optimization profiles. Throws std::runtime_error, naming profile and input, for bounds that TensorRT
// refuses, and for a shape tensor without bounds of its values.
void addProfiles(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network, nvinfer1::IBuilderConfig& config,
                 const std::vector<Profile>& profiles, const Logger& logger);

}  // namespace onnx_engine::tensorrt
