#include "host_double.h"

#include <cstring>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

class HostExecution : public Execution {
 public:
  HostExecution(HostDevice& device, HostPlan& plan, Model model) : device_(device), plan_(plan), model_(model) {}

  void setProfile(size_t, Stream) override { dims_.clear(); }
  void setDims(const std::string& input, const std::vector<int64_t>& dims) override { dims_[input] = dims; }
  void setAddress(const std::string& port, void* memory) override {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 256, 0u) << port;
    EXPECT_EQ(device_.isPinned(memory), port == "times") << port;
    plan_.addressesSet++;
    addresses_[port] = memory;
  }
  void setMemory(const std::string&, OutputMemory* memory) override { memory_ = memory; }
  void inferDims() override {
    if (dims_.count("x") == 0) throw std::runtime_error("dims of x are not set");
    if (model_ == Model::repeat) std::memcpy(&times_, addresses_.at("times"), sizeof(times_));
  }
  std::vector<int64_t> dimsOf(const std::string& output) override {
    if (output == "z") return {-1};
    return {dims_.at("x").at(0) * times_};
  }
  bool canCapture(Stream) override { return plan_.capturable; }

  void enqueue(Stream stream) override {
    EXPECT_EQ(running_++, 0) << "two inferences in one execution context";
    // When it fails, part of the work has begun.
    compute(stream);
    const bool fails = !HostDevice::takeFrom(device_.faults.enqueues);
    if (!fails && model_ == Model::positive) findPositive(stream);
    running_--;
    if (fails) throw std::runtime_error("enqueueV3: a layer failed");
  }

 private:
  void compute(Stream stream) {
    const auto count = static_cast<size_t>(dims_.at("x").at(0));
    const auto* x = static_cast<const float*>(addresses_.at("x"));
    auto* y = static_cast<float*>(addresses_.at("y"));
    // The values of a shape tensor are read when the work enters the stream.
    int64_t times = 1;
    if (model_ == Model::repeat) std::memcpy(&times, addresses_.at("times"), sizeof(times));
    const float added = model_ == Model::repeat ? 0.0F : 1.0F;
    device_.put(stream, [=] {
      for (size_t i = 0; i < count * static_cast<size_t>(times); i++) y[i] = x[i % count] + added;
    });
  }

  // Waits for the stream, as TensorRT does to find out how much memory such an output needs.
  void findPositive(Stream stream) {
    device_.synchronize(stream);
    const auto count = static_cast<size_t>(dims_.at("x").at(0));
    const auto* x = static_cast<const float*>(addresses_.at("x"));
    std::vector<float> found;
    for (size_t i = 0; i < count; i++) {
      if (x[i] > 0) found.push_back(x[i]);
    }
    void* z = memory_->reserve(std::max<size_t>(found.size() * sizeof(float), 1));
    if (z == nullptr) {
      running_--;
      throw std::runtime_error("enqueueV3: no memory for z");
    }
    if (!found.empty()) std::memcpy(z, found.data(), found.size() * sizeof(float));
    if (!device_.faults.silent)
      memory_->setDims({static_cast<int64_t>(device_.faults.boastful ? 1 << 20 : found.size())});
  }

  HostDevice& device_;
  HostPlan& plan_;
  Model model_;
  std::atomic<int> running_{0};
  std::map<std::string, std::vector<int64_t>> dims_;
  std::map<std::string, void*> addresses_;
  OutputMemory* memory_ = nullptr;
  int64_t times_ = 1;
};

}  // namespace

HostPlan::HostPlan(HostDevice& device, Model model) : device_(device), model_(model) {
  ports_ = {{"x", "float32", 4, true, false, {-1}}, {"y", "float32", 4, false, false, {-1}}};
  profiles_ = {{{{0}}, {{64}}, {{}}, {{}}}, {{{65}}, {{1000}}, {{}}, {{}}}};
  if (model == Model::fixed) {
    for (auto& port : ports_) port.dims = {4};
    profiles_ = {{{{4}}, {{4}}, {{}}, {{}}}};
  }
  if (model == Model::positive) ports_.push_back({"z", "float32", 4, false, false, {-1}});
  if (model != Model::repeat) return;
  ports_.push_back({"times", "int64", 8, true, true, {}});
  profiles_ = {{{{0}, {}}, {{64}, {}}, {{}, {1}}, {{}, {4}}}, {{{0}, {}}, {{64}, {}}, {{}, {5}}, {{}, {9}}}};
}

std::unique_ptr<Execution> HostPlan::createExecution() {
  return std::make_unique<HostExecution>(device_, *this, model_);
}

Loaded::Loaded(Model model, EngineSettings settings) : device(std::make_shared<HostDevice>()) {
  auto own = std::make_unique<HostPlan>(*device, model);
  plan = own.get();
  engine = std::make_unique<Engine>(device, std::move(own), settings);
}

std::future<Outcome> Loaded::start(const std::vector<float>& x, uint64_t* id) {
  std::vector<Tensor> inputs;
  inputs.push_back(tensor(x));
  return submit(std::move(inputs), {}, id);
}

std::future<Outcome> Loaded::repeat(const std::vector<float>& x, int64_t times) {
  std::vector<Tensor> inputs;
  inputs.push_back(tensor(x));
  inputs.push_back(engine->copyOf(&times, sizeof(times), {}));
  return submit(std::move(inputs));
}

std::future<Outcome> Loaded::submit(std::vector<Tensor> inputs, std::vector<Target> targets, uint64_t* id) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  const auto number = engine->submit(std::move(inputs), std::move(targets),
                                     [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  if (id != nullptr) *id = number;
  return future;
}

Tensor Loaded::tensor(const std::vector<float>& values) {
  return engine->copyOf(values.data(), values.size() * sizeof(float), {static_cast<int64_t>(values.size())});
}

std::vector<float> floats(const Tensor& tensor) {
  std::vector<float> values(tensor.bytes / sizeof(float));
  if (tensor.bytes > 0) std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

std::vector<float> result(std::future<Outcome> future, size_t output) {
  const Outcome outcome = future.get();
  if (!outcome.error.empty()) throw std::runtime_error(outcome.error);
  return floats(outcome.outputs.at(output));
}

}  // namespace onnx_engine::tensorrt
