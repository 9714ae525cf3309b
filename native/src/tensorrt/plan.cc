#include "plan.h"

#include "library.h"

#include <map>
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
    {DataType::kFLOAT, "float32", 4}, {DataType::kHALF, "float16", 2}, {DataType::kBF16, "bfloat16", 2}, {DataType::kINT8, "int8", 1},
    {DataType::kUINT8, "uint8", 1},   {DataType::kINT32, "int32", 4},  {DataType::kINT64, "int64", 8},   {DataType::kBOOL, "bool", 1},
};

const ElementType& elementType(DataType type, const std::string& port) {
  for (const auto& known : elementTypes) {
    if (known.type == type) return known;
  }
  throw std::runtime_error("'" + port + "' has a type of TensorRT that cannot cross into JavaScript");
}

std::vector<int64_t> fromDims(const Dims& dims) {
  if (dims.nbDims < 0) return {};
  return {dims.d, dims.d + dims.nbDims};
}

Dims toDims(const std::vector<int64_t>& values) {
  Dims dims{};
  if (values.size() > Dims::MAX_DIMS) throw std::runtime_error("more dims than TensorRT has");
  dims.nbDims = static_cast<int32_t>(values.size());
  for (size_t i = 0; i < values.size(); i++) dims.d[i] = values[i];
  return dims;
}

#ifdef TENSORRT_RTX
// A look at the header alone, before gigabytes are read: it tells why an engine cannot run where deserializing only fails.
void checkHeader(IRuntime& runtime, const void* bytes, size_t size, const Logger& logger) {
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
  throw std::runtime_error("the engine cannot run here: " + (all.empty() ? logger.errors() : all + " (" + logger.errors("no more is known") + ")"));
}
#endif

class Allocator : public IOutputAllocator {
 public:
  explicit Allocator(OutputMemory* memory) : memory_(memory) {}

  void* reallocateOutputAsync(const char*, void*, uint64_t size, uint64_t, cudaStream_t) override { return memory_->reserve(static_cast<size_t>(size)); }

  void notifyShape(const char*, const Dims& dims) noexcept override {
    try {
      memory_->setDims(fromDims(dims));
    } catch (...) {
      // Out of memory: the dims of the last run stay, and their size is checked against nothing. Ending the run is not possible here.
    }
  }

 private:
  OutputMemory* memory_;
};

class TensorRtExecution : public Execution {
 public:
  TensorRtExecution(std::unique_ptr<IExecutionContext> context, const Logger& logger) : context_(std::move(context)), logger_(logger) {}

  void setProfile(size_t profile, Stream stream) override {
    check(context_->setOptimizationProfileAsync(static_cast<int32_t>(profile), static_cast<cudaStream_t>(stream)), "setOptimizationProfileAsync");
  }

  void setDims(const std::string& input, const std::vector<int64_t>& dims) override {
    check(context_->setInputShape(input.c_str(), toDims(dims)), "setInputShape");
  }

  void setAddress(const std::string& port, void* memory) override { check(context_->setTensorAddress(port.c_str(), memory), "setTensorAddress"); }

  void setMemory(const std::string& output, OutputMemory* memory) override {
    auto& allocator = allocators_[output];
    if (memory == nullptr && allocator == nullptr) return;
    auto next = memory == nullptr ? nullptr : std::make_unique<Allocator>(memory);
    check(context_->setOutputAllocator(output.c_str(), next.get()), "setOutputAllocator");
    allocator = std::move(next);
  }

  std::vector<int64_t> dimsOf(const std::string& output) override {
    check(context_->inferShapes(0, nullptr) == 0, "inferShapes");
    return fromDims(context_->getTensorShape(output.c_str()));
  }

  void enqueue(Stream stream) override { check(context_->enqueueV3(static_cast<cudaStream_t>(stream)), "enqueueV3"); }

 private:
  void check(bool taken, const char* call) const {
    if (!taken) throw std::runtime_error(std::string(call) + ": " + logger_.errors());
  }

  std::map<std::string, std::unique_ptr<Allocator>> allocators_;
  // After the allocators: TensorRT lets go of them when the context dies.
  std::unique_ptr<IExecutionContext> context_;
  const Logger& logger_;
};

class TensorRtPlan : public Plan {
 public:
  TensorRtPlan(const std::string& library, const void* bytes, size_t size, const std::vector<char>& cache)
      : runtime_(Library::open(library).createRuntime(logger_)) {
#ifdef TENSORRT_RTX
    checkHeader(*runtime_, bytes, size, logger_);
    logger_.clear();
#endif
    engine_.reset(runtime_->deserializeCudaEngine(bytes, size));
    if (!engine_) throw std::runtime_error(logger_.errors());
    config_.reset(engine_->createRuntimeConfig());
    if (!config_) throw std::runtime_error(logger_.errors());
    useCache(cache);
    describe();
  }

  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }

  std::unique_ptr<Execution> createExecution() override {
    std::unique_ptr<IExecutionContext> context(engine_->createExecutionContext(config_.get()));
    if (!context) throw std::runtime_error(logger_.errors());
    return std::make_unique<TensorRtExecution>(std::move(context), logger_);
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
  void useCache(const std::vector<char>& bytes) {
#ifdef TENSORRT_RTX
    cache_.reset(config_->createRuntimeCache());
    if (!cache_) return;
    // One of another GPU, driver or release is refused: then it starts empty.
    if (!bytes.empty()) cache_->deserialize(bytes.data(), bytes.size());
    config_->setRuntimeCache(*cache_);
#else
    (void)bytes;
#endif
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
        bounds.min.push_back(fromDims(engine_->getProfileShape(port.name.c_str(), number, OptProfileSelector::kMIN)));
        bounds.max.push_back(fromDims(engine_->getProfileShape(port.name.c_str(), number, OptProfileSelector::kMAX)));
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

std::unique_ptr<Plan> deserialize(const std::string& library, const void* bytes, size_t size, const std::vector<char>& runtimeCache) {
  return std::make_unique<TensorRtPlan>(library, bytes, size, runtimeCache);
}

}  // namespace onnx_engine::tensorrt
