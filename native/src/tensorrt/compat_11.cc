#include "compat.h"

namespace onnx_engine::tensorrt::compat {

using namespace nvinfer1;

// All networks of these releases are strongly typed.
INetworkDefinition* createNetwork(IBuilder& builder) { return builder.createNetworkV2(0); }

bool buildToStream(const Build& build, IStreamWriter& writer) {
  return build.builder.buildSerializedNetworkToStream(build.network, build.config, writer);
}

bool setShapeValues(const Build&, IOptimizationProfile& profile, const ShapeValues& shape) {
  return profile.setShapeValuesV2(shape.input, shape.selector, shape.values.data(),
                                  static_cast<int32_t>(shape.values.size()));
}

std::vector<int64_t> profileValues(const ICudaEngine& engine, const Version&, const ProfileBound& bound, size_t count) {
  const int64_t* values = engine.getProfileTensorValuesV2(bound.input, bound.profile, bound.selector);
  if (values == nullptr) return {};
  return {values, values + count};
}

}  // namespace onnx_engine::tensorrt::compat
