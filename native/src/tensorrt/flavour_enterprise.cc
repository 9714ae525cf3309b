#include "../format.h"
#include "driver.h"
#include "flavour.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace onnx_engine::tensorrt::flavour {

namespace {

using namespace nvinfer1;

HardwareCompatibilityLevel compatibilityOf(const std::string& name) {
  if (name == "ampere+") return HardwareCompatibilityLevel::kAMPERE_PLUS;
  if (name == "same-compute-capability") return HardwareCompatibilityLevel::kSAME_COMPUTE_CAPABILITY;
  return HardwareCompatibilityLevel::kNONE;
}

std::vector<char> readAll(const std::string& path) {
  std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TimingFile : public TimingCache {
 public:
  // TensorRT refuses timings of another GPU or release: then the cache starts empty.
  TimingFile(IBuilderConfig& config, const std::string& path) : path_(path) {
    const auto bytes = readAll(path_);
    cache_.reset(config.createTimingCache(bytes.data(), bytes.size()));
    if (cache_ && config.setTimingCache(*cache_, false)) return;
    cache_.reset(config.createTimingCache(nullptr, 0));
    if (cache_) config.setTimingCache(*cache_, false);
  }

  void save() const override {
    if (!cache_) return;
    const std::unique_ptr<IHostMemory> bytes(cache_->serialize());
    if (!bytes) return;
    const auto temporary = std::filesystem::u8path(path_ + ".tmp");
    std::ofstream(temporary, std::ios::binary)
        .write(static_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
    std::filesystem::rename(temporary, std::filesystem::u8path(path_));
  }

 private:
  std::string path_;
  std::unique_ptr<ITimingCache> cache_;
};

class PlainContexts : public Contexts {
 public:
  explicit PlainContexts(ICudaEngine& engine) : engine_(engine) {}

  std::unique_ptr<IExecutionContext> create() override {
    return std::unique_ptr<IExecutionContext>(engine_.createExecutionContext());
  }

  std::vector<char> runtimeCache() const override { return {}; }

 private:
  ICudaEngine& engine_;
};

}  // namespace

const char* const product = "TensorRT";

std::string knownVersions() { return std::to_string(NV_TENSORRT_MAJOR); }

// TensorRT keeps its ABI within a major version and only adds to it; see compat.h for what older releases lack.
bool hasKnownAbi(const Version& version) { return version.major == NV_TENSORRT_MAJOR; }

void requireGpu() {
  const Driver& driver = Driver::open();
  int count = 0;
  driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount");
  if (count == 0) throw std::runtime_error("the NVIDIA driver finds no GPU");
}

void configure(IBuilderConfig& config, const BuildSettings& settings) {
  if (!settings.computeCapabilities.empty()) throw std::runtime_error("TensorRT builds for the GPU at hand only");
  const auto level = compatibilityOf(settings.hardwareCompatibility);
  config.setHardwareCompatibilityLevel(level);
  // An older library ignores a level that it does not know.
  if (config.getHardwareCompatibilityLevel() != level)
    throw std::runtime_error(
        format("this release of TensorRT does not know hardwareCompatibility: '{}'", settings.hardwareCompatibility));
}

std::unique_ptr<TimingCache> openTimingCache(IBuilderConfig& config, const std::string& path) {
  if (path.empty()) return nullptr;
  return std::make_unique<TimingFile>(config, path);
}

void prepare(IRuntime& runtime, const PlanBytes&, const PlanSettings& settings, Logger&) {
  if (settings.hostCode) runtime.setEngineHostCodeAllowed(true);
}

std::unique_ptr<Contexts> contextsOf(ICudaEngine& engine, bool, const PlanSettings&, Logger&) {
  return std::make_unique<PlainContexts>(engine);
}

bool canCapture(IExecutionContext&, bool, Stream) { return true; }

}  // namespace onnx_engine::tensorrt::flavour
