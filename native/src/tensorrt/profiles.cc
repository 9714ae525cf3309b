#include "profiles.h"

#include "../format.h"
#include "compat.h"
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

std::string ones(size_t count) {
  std::string all;
  for (size_t i = 0; i < count; i++) all += i == 0 ? "1" : ", 1";
  return "[" + all + "]";
}

// The values of a shape tensor decide the dims of other tensors, so TensorRT needs bounds of these values just as it
// needs bounds of dims.
void requireValues(const ITensor& input, const std::vector<Profile>& profiles) {
  const std::string name = input.getName();
  const auto boundsValues = [&](const ProfiledInput& item) { return item.values && item.input == name; };
  const bool bounded = std::all_of(profiles.begin(), profiles.end(), [&](const Profile& profile) {
    return std::any_of(profile.begin(), profile.end(), boundsValues);
  });
  if (bounded && !profiles.empty()) return;
  const std::string bound = ones(countOf(input.getDimensions()));
  const std::string example = format("values: { {}: { min: {}, opt: {}, max: {} } }", name, bound, bound, bound);
  const std::string hint = profiles.empty()
                               ? "Give the option profiles: [{ min: {}, opt: {}, max: {}, " + example + " }]"
                               : "Add to each of the profiles " + example;
  throw std::runtime_error(format(
      "input '{}' is a shape tensor: its values decide the dims of other tensors, so every optimization profile needs "
      "bounds of them. {}, with your own numbers",
      name, hint));
}

bool setValues(const Build& build, IOptimizationProfile& profile, const ITensor& input, const ProfiledInput& bounds) {
  if (!input.isShapeTensor())
    throw std::runtime_error(
        format("input '{}' is not a shape tensor: a profile bounds its dims, not its values", bounds.input));
  const size_t count = countOf(input.getDimensions());
  if (bounds.opt.size() != count)
    throw std::runtime_error(
        format("input '{}' has {} values, but the profile bounds {}", bounds.input, count, bounds.opt.size()));
  const auto set = [&](OptProfileSelector selector, const std::vector<int64_t>& values) {
    return compat::setShapeValues(build, profile, {bounds.input.c_str(), selector, values});
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

void addProfiles(const Build& build, const std::vector<Profile>& profiles) {
  for (int i = 0; i < build.network.getNbInputs(); i++) {
    if (build.network.getInput(i)->isShapeTensor()) requireValues(*build.network.getInput(i), profiles);
  }
  for (size_t number = 0; number < profiles.size(); number++) {
    IOptimizationProfile* profile = build.builder.createOptimizationProfile();
    if (profile == nullptr) throw std::runtime_error(build.logger.errors());
    for (const auto& bounds : profiles[number]) {
      const ITensor* input = inputOf(build.network, bounds.input);
      if (input == nullptr) continue;
      const bool accepted =
          bounds.values ? setValues(build, *profile, *input, bounds) : setDims(*profile, *input, bounds);
      if (!accepted)
        throw std::runtime_error(format("profile {}, input '{}': {}", number, bounds.input, build.logger.errors()));
    }
    if (build.config.addOptimizationProfile(profile) < 0)
      throw std::runtime_error(format("profile {}: {}", number, build.logger.errors()));
  }
}

}  // namespace onnx_engine::tensorrt
