#pragma once

#include "profiles.h"

namespace onnx_engine::tensorrt::compat {

// Calls that not every release of an ABI family has. Within a major version TensorRT only appends to its tables of
// functions, so an older library has no entry for a newer function, and calling it would jump anywhere. CMake compiles
// compat_10.cc for TensorRT 10, and compat_11.cc for TensorRT 11 and TensorRT-RTX, where the oldest supported release
// has all of them.

// A strongly typed network: the types in the graph decide the precision. Null on failure.
nvinfer1::INetworkDefinition* createNetwork(nvinfer1::IBuilder& builder);

// Builds the engine and writes it. False on failure; the logger has the reason.
bool buildToStream(const Build& build, nvinfer1::IStreamWriter& writer);

// Values of a shape tensor in a profile.
struct ShapeValues {
  const char* input;
  nvinfer1::OptProfileSelector selector;
  const std::vector<int64_t>& values;
};

// False on failure; the logger has the reason. Throws std::runtime_error for a value that the library cannot take.
bool setShapeValues(const Build& build, nvinfer1::IOptimizationProfile& profile, const ShapeValues& shape);

// Which bound of which input in an engine.
struct ProfileBound {
  const char* input;
  int32_t profile;
  nvinfer1::OptProfileSelector selector;
};

// The `count` values of a bound; empty when the engine has none.
std::vector<int64_t> profileValues(const nvinfer1::ICudaEngine& engine, const Version& version,
                                   const ProfileBound& bound, size_t count);

}  // namespace onnx_engine::tensorrt::compat
