#include "plan.h"

#include "dims.h"
#include "execution.h"
#include "library.h"

#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

using namespace nvinfer1;

struct ElementType {
  DataType type;
  const char* name;
  size_t bytes;
};

constexpr ElementType elementTypes[] = {
    {DataType::kFLOAT, "float32", 4}, {DataType::kHALF, "float16", 2}, {DataType::kBF16, "bfloat16", 2},
    {DataType::kINT8, "int8", 1},     {DataType::kUINT8, "uint8", 1},  {DataType::kINT32, "int32", 4},
    {DataType::kINT64, "int64", 8},   {DataType::kBOOL, "bool", 1},
};

const ElementType& elementType(DataType type, const std::string& port) {
  for (const auto& known : elementTypes) {
    if (known.type == type) return known;
  }
  throw std::runtime_error("'" + port + "' has a type of TensorRT that cannot cross into JavaScript");
}

#ifdef TENSORRT_RTX
// A look at the header alone, before gigabytes are read: it tells why an engine cannot run where deserializing only
// fails.
void checkHeader(IRuntime& runtime, const void* bytes, size_t size, Logger& logger) {
  uint64_t diagnostics = 0;
  if (runtime.getEngineValidity(bytes, static_cast<int64_t>(size), &diagnostics) != EngineValidity::kINVALID) return;
  constexpr struct {
    EngineInvalidityDiagnostics bit;
    const char* words;
  } reasons[] = {
      {EngineInvalidityDiagnostics::kVERSION_MISMATCH, "it was built by another version of TensorRT-RTX"},
      {EngineInvalidityDiagnostics::kUNSUPPORTED_CC, "it was not built for the compute capability of this GPU"},
      {EngineInvalidityDiagnostics::kOLD_CUDA_DRIVER, "the driver is too old for it"},
      {EngineInvalidityDiagnostics::kOLD_CUDA_RUNTIME, "the CUDA runtime is too old for it"},
      {EngineInvalidityDiagnostics::kINSUFFICIENT_GPU_MEMORY, "the GPU has too little memory for it"},
      {EngineInvalidityDiagnostics::kMALFORMED_ENGINE, "it is damaged or no engine at all"},
      {EngineInvalidityDiagnostics::kCUDA_ERROR, "CUDA failed"},
  };
  std::string all;
  for (const auto& [bit, words] : reasons) {
    if ((diagnostics & static_cast<uint64_t>(bit)) != 0) all += all.empty() ? words : std::string(", and ") + words;
  }
  throw std::runtime_error("the engine cannot run here: " +
                           (all.empty() ? logger.take() : all + " (" + logger.take("no more is known") + ")"));
}
#endif

// A profile need not know inputs of fixed dims and shape tensors, whose dims are fixed too.
std::vector<int64_t> dimsIn(const ICudaEngine& engine, const Port& port, int32_t profile, OptProfileSelector selector) {
  const Dims dims = engine.getProfileShape(port.name.c_str(), profile, selector);
  return dims.nbDims < 0 ? port.dims : fromDims(dims);
}

// As many values as a shape tensor has; TensorRT gives no count of its own.
std::vector<int64_t> valuesOf(const ICudaEngine& engine, const Port& port, int32_t profile,
                              OptProfileSelector selector) {
  const int64_t* values = port.onHost ? engine.getProfileTensorValuesV2(port.name.c_str(), profile, selector) : nullptr;
  if (values == nullptr) return {};
  int64_t count = 1;
  for (const int64_t dim : port.dims) count *= dim;
  if (count < 0) throw std::runtime_error("the shape tensor '" + port.name + "' has open dims");
  return {values, values + count};
}

class TensorRtPlan : public Plan {
 public:
  TensorRtPlan(const std::string& library, const void* bytes, size_t size, const PlanSettings& settings)
      : runtime_(Library::open(library).createRuntime(logger_)) {
#ifdef TENSORRT_RTX
    checkHeader(*runtime_, bytes, size, logger_);
    logger_.take();
#else
    if (settings.hostCode) runtime_->setEngineHostCodeAllowed(true);
#endif
    engine_.reset(runtime_->deserializeCudaEngine(bytes, size));
    if (!engine_) throw std::runtime_error(logger_.take());
    config_.reset(engine_->createRuntimeConfig());
    if (!config_) throw std::runtime_error(logger_.take());
    describe();
    configure(settings);
  }

  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }

  std::unique_ptr<Execution> createExecution() override {
    std::unique_ptr<IExecutionContext> context(engine_->createExecutionContext(config_.get()));
    if (!context) throw std::runtime_error(logger_.take());
    return wrapContext(std::move(context), isFixed(), logger_);
  }

  std::vector<char> runtimeCache() override {
#ifdef TENSORRT_RTX
    const std::unique_ptr<IHostMemory> bytes(cache_ ? cache_->serialize() : nullptr);
    if (bytes) {
      const auto* data = static_cast<const char*>(bytes->data());
      return {data, data + bytes->size()};
    }
#endif
    return {};
  }

 private:
  void configure(const PlanSettings& settings) {
#ifdef TENSORRT_RTX
    cache_.reset(config_->createRuntimeCache());
    if (cache_) {
      // One of another GPU, driver or release is refused: then it starts empty.
      if (settings.runtimeCacheBytes > 0) cache_->deserialize(settings.runtimeCache, settings.runtimeCacheBytes);
      config_->setRuntimeCache(*cache_);
    }
    if (settings.graphs && !isFixed()) config_->setCudaGraphStrategy(CudaGraphStrategy::kWHOLE_GRAPH_CAPTURE);
    // A refused cache is no failure to tell of later.
    logger_.take();
#else
    (void)settings;
#endif
  }

  bool isFixed() const {
    return profiles_.size() == 1 && profiles_[0].min == profiles_[0].max &&
           profiles_[0].minValues == profiles_[0].maxValues;
  }

  void describe() {
    for (int32_t i = 0; i < engine_->getNbIOTensors(); i++) {
      const char* name = engine_->getIOTensorName(i);
      const ElementType& type = elementType(engine_->getTensorDataType(name), name);
      const bool input = engine_->getTensorIOMode(name) == TensorIOMode::kINPUT;
      const bool onHost = engine_->getTensorLocation(name) == TensorLocation::kHOST;
      ports_.push_back({name, type.name, type.bytes, input, onHost, fromDims(engine_->getTensorShape(name))});
    }
    for (int32_t number = 0; number < engine_->getNbOptimizationProfiles(); number++) {
      Bounds bounds;
      for (const auto& port : ports_) {
        if (!port.input) continue;
        bounds.min.push_back(dimsIn(*engine_, port, number, OptProfileSelector::kMIN));
        bounds.max.push_back(dimsIn(*engine_, port, number, OptProfileSelector::kMAX));
        bounds.minValues.push_back(valuesOf(*engine_, port, number, OptProfileSelector::kMIN));
        bounds.maxValues.push_back(valuesOf(*engine_, port, number, OptProfileSelector::kMAX));
      }
      profiles_.push_back(std::move(bounds));
    }
  }

  // In the order in which they need each other: each is freed before those above.
  Logger logger_;
  std::unique_ptr<IRuntime> runtime_;
  std::unique_ptr<ICudaEngine> engine_;
#ifdef TENSORRT_RTX
  std::unique_ptr<IRuntimeCache> cache_;
#endif
  std::unique_ptr<IRuntimeConfig> config_;
  std::vector<Port> ports_;
  std::vector<Bounds> profiles_;
};

}  // namespace

std::unique_ptr<Plan> deserialize(const std::string& library, const void* bytes, size_t size,
                                  const PlanSettings& settings) {
  return std::make_unique<TensorRtPlan>(library, bytes, size, settings);
}

}  // namespace onnx_engine::tensorrt
