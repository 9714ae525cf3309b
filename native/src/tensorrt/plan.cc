#include "plan.h"

#include "../format.h"
#include "compat.h"
#include "dims.h"
#include "execution.h"
#include "flavour.h"
#include "library.h"
#include "plugins.h"

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
  throw std::runtime_error(format("'{}' has a type of TensorRT that JavaScript cannot hold", port));
}

// A profile may leave out inputs of fixed dims, shape tensors among them.
std::vector<int64_t> dimsIn(const ICudaEngine& engine, const Port& port, int32_t profile, OptProfileSelector selector) {
  const Dims dims = engine.getProfileShape(port.name.c_str(), profile, selector);
  return dims.nbDims < 0 ? port.dims : fromDims(dims);
}

std::vector<int64_t> valuesOf(const ICudaEngine& engine, const Version& version, const Port& port,
                              const compat::ProfileBound& bound) {
  if (!port.onHost) return {};
  // TensorRT returns a pointer without a count: there are as many values as the shape tensor has elements.
  int64_t count = 1;
  for (const int64_t dim : port.dims) {
    if (dim < 0) throw std::runtime_error(format("the shape tensor '{}' has open dims", port.name));
    count *= dim;
  }
  return compat::profileValues(engine, version, bound, static_cast<size_t>(count));
}

class TensorRtPlan : public Plan {
 public:
  TensorRtPlan(const std::string& library, const PlanBytes& plan, const PlanSettings& settings)
      : version_(Library::open(library).version()), runtime_(Library::open(library).createRuntime(logger_)) {
    loadPlugins(library, settings.plugins);
    flavour::prepare(*runtime_, plan, settings, logger_);
    engine_.reset(runtime_->deserializeCudaEngine(plan.data, plan.size));
    if (!engine_) throw std::runtime_error(logger_.take());
    describePorts();
    describeProfiles();
    contexts_ = flavour::contextsOf(*engine_, isFixed(), settings, logger_);
  }

  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }

  std::unique_ptr<Execution> createExecution() override {
    auto context = contexts_->create();
    if (!context) throw std::runtime_error(logger_.take());
    return wrapContext(std::move(context), isFixed(), logger_);
  }

  std::vector<char> runtimeCache() override { return contexts_->runtimeCache(); }

 private:
  bool isFixed() const {
    return profiles_.size() == 1 && profiles_[0].min == profiles_[0].max &&
           profiles_[0].minValues == profiles_[0].maxValues;
  }

  void describePorts() {
    for (int32_t i = 0; i < engine_->getNbIOTensors(); i++) {
      const char* name = engine_->getIOTensorName(i);
      const ElementType& type = elementType(engine_->getTensorDataType(name), name);
      const bool input = engine_->getTensorIOMode(name) == TensorIOMode::kINPUT;
      const bool onHost = engine_->getTensorLocation(name) == TensorLocation::kHOST;
      ports_.push_back({name, type.name, type.bytes, input, onHost, fromDims(engine_->getTensorShape(name))});
    }
  }

  void describeProfiles() {
    for (int32_t number = 0; number < engine_->getNbOptimizationProfiles(); number++) {
      Bounds bounds;
      for (const auto& port : ports_) {
        if (!port.input) continue;
        bounds.min.push_back(dimsIn(*engine_, port, number, OptProfileSelector::kMIN));
        bounds.max.push_back(dimsIn(*engine_, port, number, OptProfileSelector::kMAX));
        const auto valuesAt = [&, name = port.name.c_str()](OptProfileSelector selector) {
          return valuesOf(*engine_, version_, port, {name, number, selector});
        };
        bounds.minValues.push_back(valuesAt(OptProfileSelector::kMIN));
        bounds.maxValues.push_back(valuesAt(OptProfileSelector::kMAX));
      }
      profiles_.push_back(std::move(bounds));
    }
  }

  // Each member uses those above it, and is freed before them.
  Logger logger_;
  const Version& version_;
  std::unique_ptr<IRuntime> runtime_;
  std::unique_ptr<ICudaEngine> engine_;
  std::unique_ptr<flavour::Contexts> contexts_;
  std::vector<Port> ports_;
  std::vector<Bounds> profiles_;
};

}  // namespace

std::unique_ptr<Plan> deserialize(const std::string& library, const PlanBytes& plan, const PlanSettings& settings) {
  return std::make_unique<TensorRtPlan>(library, plan, settings);
}

}  // namespace onnx_engine::tensorrt
