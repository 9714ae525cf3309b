#include "execution.h"

#include "dims.h"
#include "flavour.h"

#include <map>

namespace onnx_engine::tensorrt {

namespace {

using namespace nvinfer1;

class Allocator : public IOutputAllocator {
 public:
  explicit Allocator(OutputMemory* memory) : memory_(memory) {}

  void* reallocateOutputAsync(const char*, void*, uint64_t size, uint64_t, cudaStream_t) override {
    return memory_->reserve(static_cast<size_t>(size));
  }

  void notifyShape(const char*, const Dims& dims) noexcept override {
    try {
      memory_->setDims(fromDims(dims));
    } catch (...) {
      // Out of memory. The inference finds that the dims are missing.
    }
  }

 private:
  OutputMemory* memory_;
};

class TensorRtExecution : public Execution {
 public:
  TensorRtExecution(std::unique_ptr<IExecutionContext> context, bool fixed, Logger& logger)
      : context_(std::move(context)), fixed_(fixed), logger_(logger) {}

  void setProfile(size_t profile, Stream stream) override {
    check(context_->setOptimizationProfileAsync(static_cast<int32_t>(profile), static_cast<cudaStream_t>(stream)),
          "setOptimizationProfileAsync");
  }

  void setDims(const std::string& input, const std::vector<int64_t>& dims) override {
    check(context_->setInputShape(input.c_str(), toDims(dims)), "setInputShape");
  }

  void setAddress(const std::string& port, void* memory) override {
    check(context_->setTensorAddress(port.c_str(), memory), "setTensorAddress");
  }

  void setMemory(const std::string& output, OutputMemory* memory) override {
    auto& allocator = allocators_[output];
    if (memory == nullptr && allocator == nullptr) return;
    auto next = memory == nullptr ? nullptr : std::make_unique<Allocator>(memory);
    check(context_->setOutputAllocator(output.c_str(), next.get()), "setOutputAllocator");
    allocator = std::move(next);
  }

  void inferDims() override { check(context_->inferShapes(0, nullptr) == 0, "inferShapes"); }

  std::vector<int64_t> dimsOf(const std::string& output) override {
    return fromDims(context_->getTensorShape(output.c_str()));
  }

  bool canCapture(Stream stream) override { return flavour::canCapture(*context_, fixed_, stream); }

  void enqueue(Stream stream) override { check(context_->enqueueV3(static_cast<cudaStream_t>(stream)), "enqueueV3"); }

 private:
  void check(bool succeeded, const char* call) {
    if (!succeeded) throw std::runtime_error(std::string(call) + ": " + logger_.take());
  }

  std::map<std::string, std::unique_ptr<Allocator>> allocators_;
  // Declared after the allocators, so freed before them: the context uses them until then.
  std::unique_ptr<IExecutionContext> context_;
  bool fixed_;
  Logger& logger_;
};

}  // namespace

std::unique_ptr<Execution> wrapContext(std::unique_ptr<IExecutionContext> context, bool fixed, Logger& logger) {
  return std::make_unique<TensorRtExecution>(std::move(context), fixed, logger);
}

}  // namespace onnx_engine::tensorrt
