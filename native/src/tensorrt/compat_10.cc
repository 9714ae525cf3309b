#include "../format.h"
#include "compat.h"

#include <limits>
#include <memory>
#include <stdexcept>

namespace onnx_engine::tensorrt::compat {

using namespace nvinfer1;

namespace {

// The minor version of TensorRT 10 whose headers added a function. All other functions that we call are in 10.0.
constexpr int streamSince = 13;      // IBuilder::buildSerializedNetworkToStream
constexpr int wideValuesSince = 11;  // IOptimizationProfile::setShapeValuesV2, ICudaEngine::getProfileTensorValuesV2

bool has(const Version& library, int since) { return library.minor >= since; }

int32_t narrow(const ShapeValues& shape, int64_t value, const Version& library) {
  using Limits = std::numeric_limits<int32_t>;
  if (value < Limits::min() || value > Limits::max())
    throw std::runtime_error(
        format("input '{}': TensorRT {} takes values of 32 bits, received {}", shape.input, library.text(), value));
  return static_cast<int32_t>(value);
}

}  // namespace

INetworkDefinition* createNetwork(IBuilder& builder) {
  return builder.createNetworkV2(1U << static_cast<uint32_t>(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED));
}

bool buildToStream(const Build& build, IStreamWriter& writer) {
  if (has(build.version, streamSince))
    return build.builder.buildSerializedNetworkToStream(build.network, build.config, writer);
  const std::unique_ptr<IHostMemory> plan(build.builder.buildSerializedNetwork(build.network, build.config));
  if (!plan) return false;
  const auto size = static_cast<int64_t>(plan->size());
  return writer.write(plan->data(), size) == size;
}

bool setShapeValues(const Build& build, IOptimizationProfile& profile, const ShapeValues& shape) {
  const auto count = static_cast<int32_t>(shape.values.size());
  if (has(build.version, wideValuesSince))
    return profile.setShapeValuesV2(shape.input, shape.selector, shape.values.data(), count);
  std::vector<int32_t> values;
  for (const int64_t value : shape.values) values.push_back(narrow(shape, value, build.version));
  return profile.setShapeValues(shape.input, shape.selector, values.data(), count);
}

std::vector<int64_t> profileValues(const ICudaEngine& engine, const Version& version, const ProfileBound& bound,
                                   size_t count) {
  if (has(version, wideValuesSince)) {
    const int64_t* values = engine.getProfileTensorValuesV2(bound.input, bound.profile, bound.selector);
    return values == nullptr ? std::vector<int64_t>() : std::vector<int64_t>(values, values + count);
  }
  const int32_t* values = engine.getProfileTensorValues(bound.input, bound.profile, bound.selector);
  return values == nullptr ? std::vector<int64_t>() : std::vector<int64_t>(values, values + count);
}

}  // namespace onnx_engine::tensorrt::compat
