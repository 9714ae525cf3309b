#include "profiles.h"

#include "dims.h"

#include <algorithm>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

using namespace nvinfer1;

ITensor* inputOf(INetworkDefinition& network, const std::string& name) {
  for (int i = 0; i < network.getNbInputs(); i++) {
    if (name == network.getInput(i)->getName()) return network.getInput(i);
  }
  return nullptr;
}

// Also when even the rank is unknown.
bool isDynamic(const Dims& dims) {
  const auto all = fromDims(dims);
  return dims.nbDims < 0 || std::any_of(all.begin(), all.end(), [](int64_t dim) { return dim < 0; });
}

size_t countOf(const Dims& dims) {
  size_t count = 1;
  for (const int64_t dim : fromDims(dims)) count *= dim < 0 ? 0 : static_cast<size_t>(dim);
  return count;
}

// The values of a shape tensor decide the dims of other tensors, so TensorRT needs bounds of them as it needs bounds of
// dims.
void requireValues(const ITensor& input, const std::vector<Profile>& profiles) {
  const std::string name = input.getName();
  const auto bounds = [&](const ProfiledInput& item) { return item.values && item.input == name; };
  const bool all = std::all_of(profiles.begin(), profiles.end(), [&](const Profile& profile) {
    return std::any_of(profile.begin(), profile.end(), bounds);
  });
  if (all && !profiles.empty()) return;
  std::string ones;
  for (size_t i = 0; i < countOf(input.getDimensions()); i++) ones += i == 0 ? "1" : ", 1";
  const std::string example =
      "values: { " + name + ": { min: [" + ones + "], opt: [" + ones + "], max: [" + ones + "] } }";
  throw std::runtime_error("input '" + name +
                           "' is a shape tensor: its values decide the dims of others, so that every optimization "
                           "profile needs their bounds. " +
                           (profiles.empty()
                                ? "Give the option profiles: [{ min: {}, opt: {}, max: {}, " + example + " }]"
                                : "Add to each of the profiles " + example) +
                           ", your numbers in the place of these");
}

bool setValues(IOptimizationProfile& profile, const ITensor& input, const ProfiledInput& bounds) {
  if (!input.isShapeTensor())
    throw std::runtime_error("input '" + bounds.input +
                             "' is no shape tensor: a profile bounds its dims, not its values");
  const size_t count = countOf(input.getDimensions());
  if (bounds.opt.size() != count)
    throw std::runtime_error("input '" + bounds.input + "' has " + std::to_string(count) +
                             " values, the profile bounds " + std::to_string(bounds.opt.size()));
  const auto set = [&](OptProfileSelector selector, const std::vector<int64_t>& values) {
    return profile.setShapeValuesV2(bounds.input.c_str(), selector, values.data(), static_cast<int32_t>(values.size()));
  };
  return set(OptProfileSelector::kMIN, bounds.min) && set(OptProfileSelector::kOPT, bounds.opt) &&
         set(OptProfileSelector::kMAX, bounds.max);
}

bool setDims(IOptimizationProfile& profile, const ITensor& input, const ProfiledInput& bounds) {
  if (!isDynamic(input.getDimensions())) return true;
  const auto set = [&](OptProfileSelector selector, const std::vector<int64_t>& dims) {
    return profile.setDimensions(bounds.input.c_str(), selector, toDims(dims));
  };
  return set(OptProfileSelector::kMIN, bounds.min) && set(OptProfileSelector::kOPT, bounds.opt) &&
         set(OptProfileSelector::kMAX, bounds.max);
}

}  // namespace

void fixDims(INetworkDefinition& network, const std::vector<FixedInput>& inputs) {
  for (const auto& [name, dims] : inputs) {
    if (ITensor* input = inputOf(network, name)) input->setDimensions(toDims(dims));
  }
}

void addProfiles(IBuilder& builder, INetworkDefinition& network, IBuilderConfig& config,
                 const std::vector<Profile>& profiles, const Logger& logger) {
  for (int i = 0; i < network.getNbInputs(); i++) {
    if (network.getInput(i)->isShapeTensor()) requireValues(*network.getInput(i), profiles);
  }
  for (size_t number = 0; number < profiles.size(); number++) {
    const std::string where = "profile " + std::to_string(number);
    IOptimizationProfile* profile = builder.createOptimizationProfile();
    if (profile == nullptr) throw std::runtime_error(logger.errors());
    for (const auto& bounds : profiles[number]) {
      const ITensor* input = inputOf(network, bounds.input);
      if (input == nullptr) continue;
      const bool taken = bounds.values ? setValues(*profile, *input, bounds) : setDims(*profile, *input, bounds);
      if (!taken) throw std::runtime_error(where + ", input '" + bounds.input + "': " + logger.errors());
    }
    if (config.addOptimizationProfile(profile) < 0) throw std::runtime_error(where + ": " + logger.errors());
  }
}

}  // namespace onnx_engine::tensorrt
