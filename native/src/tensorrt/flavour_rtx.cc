#include "../format.h"
#include "flavour.h"

#include <stdexcept>

namespace onnx_engine::tensorrt::flavour {

namespace {

using namespace nvinfer1;

std::string join(const std::string& all, const char* next) { return all.empty() ? next : all + ", and " + next; }

class CachedContexts : public Contexts {
 public:
  CachedContexts(ICudaEngine& engine, bool fixed, const PlanSettings& settings, Logger& logger)
      : engine_(engine), config_(engine.createRuntimeConfig()) {
    if (!config_) throw std::runtime_error(logger.take());
    cache_.reset(config_->createRuntimeCache());
    if (cache_) {
      // TensorRT-RTX refuses a cache of another GPU, driver or release: then it starts empty.
      if (settings.runtimeCacheBytes > 0) cache_->deserialize(settings.runtimeCache, settings.runtimeCacheBytes);
      config_->setRuntimeCache(*cache_);
    }
    if (settings.graphs && !fixed) config_->setCudaGraphStrategy(CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE);
    // A refused cache is not an error: later failures must not report it.
    logger.take();
  }

  std::unique_ptr<IExecutionContext> create() override {
    return std::unique_ptr<IExecutionContext>(engine_.createExecutionContext(config_.get()));
  }

  std::vector<char> runtimeCache() const override {
    const std::unique_ptr<IHostMemory> bytes(cache_ ? cache_->serialize() : nullptr);
    if (!bytes) return {};
    const auto* data = static_cast<const char*>(bytes->data());
    return {data, data + bytes->size()};
  }

 private:
  ICudaEngine& engine_;
  // Freed after the configuration that uses it.
  std::unique_ptr<IRuntimeCache> cache_;
  std::unique_ptr<IRuntimeConfig> config_;
};

}  // namespace

const char* const product = "TensorRT-RTX";

std::string knownVersions() { return format("{}.{}", NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR); }

// TensorRT-RTX changes its ABI from one minor version to the next.
bool hasKnownAbi(const Version& version) {
  return version.major == NV_TENSORRT_MAJOR && version.minor == NV_TENSORRT_MINOR;
}

// TensorRT-RTX builds without a GPU, and reports a missing driver itself.
void requireGpu() {}

void configure(IBuilderConfig& config, const BuildSettings& settings) {
  const auto& targets = settings.computeCapabilities;
  if (targets.empty()) throw std::runtime_error("TensorRT-RTX needs at least one compute capability");
  const auto count = static_cast<int32_t>(targets.size());
  if (!config.setNbComputeCapabilities(count))
    throw std::runtime_error(format("TensorRT-RTX cannot build for {} compute capabilities at once", count));
  for (int32_t i = 0; i < count; i++) {
    const int target = targets[static_cast<size_t>(i)];
    if (!config.setComputeCapability(static_cast<ComputeCapability>(target), i))
      throw std::runtime_error(format("compute capability {} is not a target of this TensorRT-RTX", target));
  }
}

std::unique_ptr<TimingCache> openTimingCache(IBuilderConfig&, const std::string&) { return nullptr; }

// Checks the header alone, before gigabytes are read: it has the reason, where deserializing only fails.
void prepare(IRuntime& runtime, const PlanBytes& plan, const PlanSettings&, Logger& logger) {
  uint64_t diagnostics = 0;
  const auto validity = runtime.getEngineValidity(plan.data, static_cast<int64_t>(plan.size), &diagnostics);
  if (validity != EngineValidity::kINVALID) {
    logger.take();
    return;
  }
  using Reason = EngineInvalidityDiagnostics;
  constexpr struct {
    Reason bit;
    const char* text;
  } reasons[] = {
      {Reason::kVERSION_MISMATCH, "it was built by another version of TensorRT-RTX"},
      {Reason::kUNSUPPORTED_CC, "it was not built for the compute capability of this GPU"},
      {Reason::kOLD_CUDA_DRIVER, "the driver is too old for it"},
      {Reason::kOLD_CUDA_RUNTIME, "the CUDA runtime is too old for it"},
      {Reason::kINSUFFICIENT_GPU_MEMORY, "the GPU has too little memory for it"},
      {Reason::kMALFORMED_ENGINE, "it is damaged, or not an engine"},
      {Reason::kCUDA_ERROR, "CUDA failed"},
  };
  std::string found;
  for (const auto& [bit, text] : reasons) {
    if ((diagnostics & static_cast<uint64_t>(bit)) != 0) found = join(found, text);
  }
  const std::string logged = logger.take(found.empty() ? "TensorRT gave no reason" : "no details");
  throw std::runtime_error("the engine cannot run here: " +
                           (found.empty() ? logged : format("{} ({})", found, logged)));
}

std::unique_ptr<Contexts> contextsOf(ICudaEngine& engine, bool fixed, const PlanSettings& settings, Logger& logger) {
  return std::make_unique<CachedContexts>(engine, fixed, settings, logger);
}

// TensorRT-RTX compiles kernels for the dims at hand in the background. A graph that we captured would keep the
// preliminary kernels, so TensorRT-RTX captures engines with open dims itself, once it is ready: see CachedContexts.
bool canCapture(IExecutionContext& context, bool fixed, Stream stream) {
  return fixed && context.isStreamCapturable(static_cast<cudaStream_t>(stream));
}

}  // namespace onnx_engine::tensorrt::flavour
