// The engine's queue on a GPU of host memory: runs without Node, TensorRT or a GPU, under AddressSanitizer and ThreadSanitizer. What
// passes here says nothing of real GPUs; it says that we queue, cancel, share and free correctly, also when everything fails.
#include "engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <map>
#include <set>
#include <stdexcept>

namespace onnx_engine::tensorrt {
namespace {

// A stream is a list of work that runs when it is waited for, as on a GPU that is slow; so whoever reads too early reads old bytes.
struct HostStream {
  std::vector<std::function<void()>> work;
  std::vector<std::function<void()>> recorded;
  bool capturing = false;
};

using HostGraph = std::vector<std::function<void()>>;

struct Faults {
  std::atomic<int> allocationsLeft{1 << 30};
  std::atomic<bool> lost{false};
  std::atomic<bool> capture{false};
  std::atomic<int> slowMilliseconds{0};
};

class HostDevice : public Device {
 public:
  ~HostDevice() override {
    EXPECT_TRUE(memory_.empty()) << "device or pinned memory was not freed";
    EXPECT_EQ(streams_.load(), 0);
    EXPECT_EQ(graphs_.load(), 0);
  }

  void enter() override { check(); }
  void* allocate(size_t bytes) override { return take(bytes); }
  void free(void* memory) noexcept override { give(memory); }
  void* allocatePinned(size_t bytes) override { return take(bytes); }
  void freePinned(void* memory) noexcept override { give(memory); }

  Stream createStream() override {
    streams_++;
    return new HostStream();
  }
  void destroyStream(Stream stream) noexcept override {
    streams_--;
    delete static_cast<HostStream*>(stream);
  }
  void upload(void* device, const void* host, size_t bytes, Stream stream) override {
    put(stream, [=] { std::memcpy(device, host, bytes); });
  }
  void download(void* host, const void* device, size_t bytes, Stream stream) override {
    put(stream, [=] { std::memcpy(host, device, bytes); });
  }
  void synchronize(Stream stream) override {
    if (const int slow = faults.slowMilliseconds) std::this_thread::sleep_for(std::chrono::milliseconds(slow));
    auto& work = static_cast<HostStream*>(stream)->work;
    const auto all = std::move(work);
    work.clear();
    check();
    for (const auto& step : all) step();
  }

  void beginCapture(Stream stream) override { static_cast<HostStream*>(stream)->capturing = true; }
  Graph endCapture(Stream stream) override {
    auto& host = *static_cast<HostStream*>(stream);
    host.capturing = false;
    HostGraph recorded;
    recorded.swap(host.recorded);
    if (faults.capture) throw std::runtime_error("operation not permitted when stream is capturing");
    graphs_++;
    return new HostGraph(std::move(recorded));
  }
  void launch(Graph graph, Stream stream) override {
    launches++;
    for (const auto& step : *static_cast<HostGraph*>(graph)) put(stream, step);
  }
  void destroyGraph(Graph graph) noexcept override {
    graphs_--;
    delete static_cast<HostGraph*>(graph);
  }

  void put(Stream stream, std::function<void()> step) {
    check();
    auto& host = *static_cast<HostStream*>(stream);
    (host.capturing ? host.recorded : host.work).push_back(std::move(step));
  }

  Faults faults;
  std::atomic<int> launches{0};

 private:
  void check() const {
    if (faults.lost) throw std::runtime_error("the GPU has fallen off the bus");
  }
  void* take(size_t bytes) {
    if (faults.allocationsLeft-- <= 0) throw std::runtime_error("out of memory");
    void* memory = std::malloc(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    memory_.insert(memory);
    return memory;
  }
  void give(void* memory) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    EXPECT_EQ(memory_.erase(memory), 1u);
    std::free(memory);
  }

  std::mutex mutex_;
  std::set<void*> memory_;
  std::atomic<int> streams_{0};
  std::atomic<int> graphs_{0};
};

// y = x + 1 and, with `positive`, z = those of x that are above zero, whose number only the run tells.
class HostExecution : public Execution {
 public:
  HostExecution(HostDevice& device, bool positive, std::atomic<int>& running) : device_(device), positive_(positive), running_(running) {}

  void setProfile(size_t, Stream) override { dims_.clear(); }
  void setDims(const std::string&, const std::vector<int64_t>& dims) override { dims_ = dims; }
  void setAddress(const std::string& port, void* memory) override { addresses_[port] = memory; }
  void setMemory(const std::string&, OutputMemory* memory) override { memory_ = memory; }
  std::vector<int64_t> dimsOf(const std::string& output) override {
    if (dims_.empty()) throw std::runtime_error("dims of x are not set");
    return output == "z" ? std::vector<int64_t>{-1} : dims_;
  }

  void enqueue(Stream stream) override {
    EXPECT_EQ(running_++, 0) << "two inferences in one execution context";
    const auto count = static_cast<size_t>(dims_.at(0));
    const auto* x = static_cast<const float*>(addresses_.at("x"));
    auto* y = static_cast<float*>(addresses_.at("y"));
    device_.put(stream, [=] {
      for (size_t i = 0; i < count; i++) y[i] = x[i] + 1;
    });
    if (positive_) {
      // As TensorRT does: such an output makes it wait, to know how much memory to ask for.
      device_.synchronize(stream);
      std::vector<float> found;
      for (size_t i = 0; i < count; i++) {
        if (x[i] > 0) found.push_back(x[i]);
      }
      void* z = memory_->reserve(std::max<size_t>(found.size() * sizeof(float), 1));
      if (z == nullptr) {
        running_--;
        throw std::runtime_error("no memory for z");
      }
      memory_->setDims({static_cast<int64_t>(found.size())});
      if (!found.empty()) std::memcpy(z, found.data(), found.size() * sizeof(float));
    }
    running_--;
  }

 private:
  HostDevice& device_;
  bool positive_;
  std::atomic<int>& running_;
  std::vector<int64_t> dims_;
  std::map<std::string, void*> addresses_;
  OutputMemory* memory_ = nullptr;
};

class HostPlan : public Plan {
 public:
  HostPlan(HostDevice& device, bool positive) : device_(device), positive_(positive) {
    ports_ = {{"x", "float32", 4, true, false, {-1}}, {"y", "float32", 4, false, false, {-1}}};
    if (positive) ports_.push_back({"z", "float32", 4, false, false, {-1}});
  }
  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }
  std::unique_ptr<Execution> createExecution() override {
    running_.push_back(std::make_unique<std::atomic<int>>(0));
    return std::make_unique<HostExecution>(device_, positive_, *running_.back());
  }
  std::vector<char> runtimeCache() override { return {'k'}; }

 private:
  HostDevice& device_;
  bool positive_;
  std::vector<Port> ports_;
  std::vector<Bounds> profiles_ = {{{{0}}, {{64}}}, {{{65}}, {{1000}}}};
  std::vector<std::unique_ptr<std::atomic<int>>> running_;
};

struct Loaded {
  explicit Loaded(bool positive = false, EngineSettings settings = {}) : device(std::make_shared<HostDevice>()) {
    engine = std::make_unique<Engine>(device, std::make_unique<HostPlan>(*device, positive), settings);
  }
  std::future<Outcome> start(std::vector<float> values, uint64_t* id = nullptr) {
    Tensor tensor;
    tensor.bytes = values.size() * sizeof(float);
    tensor.dims = {static_cast<int64_t>(values.size())};
    tensor.own.reset(new uint8_t[tensor.bytes]);
    if (tensor.bytes > 0) std::memcpy(tensor.own.get(), values.data(), tensor.bytes);
    tensor.data = tensor.own.get();
    std::vector<Tensor> inputs;
    inputs.push_back(std::move(tensor));
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    const auto number = engine->submit(std::move(inputs), [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    if (id != nullptr) *id = number;
    return future;
  }
  std::shared_ptr<HostDevice> device;
  std::unique_ptr<Engine> engine;
};

std::vector<float> floats(const Tensor& tensor) {
  std::vector<float> values(tensor.bytes / sizeof(float));
  if (tensor.bytes > 0) std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

std::vector<float> result(std::future<Outcome> future, size_t output = 0) {
  const Outcome outcome = future.get();
  if (!outcome.error.empty()) throw std::runtime_error(outcome.error);
  return floats(outcome.outputs.at(output));
}

TEST(Engine, GivesEachCallerItsOwnResult) {
  for (const bool graphs : {false, true}) {
    Loaded loaded(false, {3, graphs});
    std::vector<std::future<Outcome>> all;
    for (int i = 0; i < 300; i++) all.push_back(loaded.start(std::vector<float>(1 + static_cast<size_t>(i % 100), static_cast<float>(i))));
    for (int i = 0; i < 300; i++) {
      EXPECT_EQ(result(std::move(all[static_cast<size_t>(i)])), std::vector<float>(1 + static_cast<size_t>(i % 100), static_cast<float>(i + 1)));
    }
  }
}

TEST(Engine, ReplaysShapesThatComeAgainAsAGraphWithTheNewValues) {
  Loaded loaded(false, {1, true});
  for (int i = 0; i < 6; i++) EXPECT_EQ(result(loaded.start({static_cast<float>(i), 0})), (std::vector<float>{static_cast<float>(i + 1), 1}));
  EXPECT_EQ(loaded.device->launches, 5);
  EXPECT_EQ(result(loaded.start({1, 2, 3})), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(loaded.device->launches, 5);
}

TEST(Engine, RunsWithoutGraphsWhereTheyCannotBeRecorded) {
  Loaded loaded(false, {1, true});
  loaded.device->faults.capture = true;
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.device->launches, 0);
}

TEST(Engine, TakesOutputsWhoseSizeOnlyTheRunTells) {
  Loaded loaded(true, {2, true});
  for (int i = 0; i < 5; i++) EXPECT_EQ(result(loaded.start({-1, 2, -3, 4}), 1), (std::vector<float>{2, 4}));
  EXPECT_EQ(result(loaded.start({-1}), 1), std::vector<float>{});
  EXPECT_EQ(result(loaded.start(std::vector<float>(900, 5)), 1), std::vector<float>(900, 5));
  EXPECT_EQ(result(loaded.start({}), 0), std::vector<float>{});
}

TEST(Engine, NamesInputsThatFitNoProfile) {
  Loaded loaded;
  EXPECT_EQ(loaded.start(std::vector<float>(1001)).get().error, "the inputs [1001] fit no optimization profile of the engine");
  EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
}

TEST(Engine, CancelsWhatHasNotBegun) {
  Loaded loaded(false, {1, false});
  loaded.device->faults.slowMilliseconds = 30;
  auto first = loaded.start({1});
  uint64_t id = 0;
  auto second = loaded.start({2}, &id);
  auto third = loaded.start({3});
  loaded.engine->cancel(id);
  EXPECT_TRUE(second.get().cancelled);
  loaded.engine->cancel(id);
  loaded.engine->cancel(12345);
  EXPECT_EQ(result(std::move(first)), std::vector<float>{2});
  EXPECT_EQ(result(std::move(third)), std::vector<float>{4});
}

TEST(Engine, CanBeCancelledFromManyThreadsAtAnyMoment) {
  Loaded loaded(false, {2, true});
  std::vector<std::thread> callers;
  std::atomic<int> ended{0};
  for (int caller = 0; caller < 4; caller++) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 100; i++) {
        uint64_t id = 0;
        auto future = loaded.start({static_cast<float>(caller)}, &id);
        if (i % 2 == 0) loaded.engine->cancel(id);
        const Outcome outcome = future.get();
        if (!outcome.cancelled) {
          EXPECT_EQ(floats(outcome.outputs.at(0)), std::vector<float>{static_cast<float>(caller + 1)});
        }
        ended++;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(ended, 400);
}

TEST(Engine, EndsWhatWaitsAndFinishesWhatRunsWhenItIsClosed) {
  Loaded loaded(false, {1, false});
  loaded.device->faults.slowMilliseconds = 30;
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 10; i++) all.push_back(loaded.start({1}));
  loaded.engine.reset();
  int finished = 0;
  for (auto& future : all) {
    const Outcome outcome = future.get();
    if (outcome.error.empty()) {
      finished++;
    } else {
      EXPECT_EQ(outcome.error, "the engine is closed");
    }
  }
  EXPECT_LE(finished, 2);
}

TEST(Engine, GoesOnAfterMemoryRanOut) {
  for (int allocations = 0; allocations < 5; allocations++) {
    Loaded loaded(true, {1, true});
    loaded.device->faults.allocationsLeft = allocations;
    const Outcome outcome = loaded.start({1, 2}).get();
    EXPECT_FALSE(outcome.error.empty());
    loaded.device->faults.allocationsLeft = 1 << 30;
    EXPECT_EQ(result(loaded.start({1, 2})), (std::vector<float>{2, 3}));
  }
}

TEST(Engine, TellsEveryCallerThatTheDeviceIsLostAndFreesAll) {
  Loaded loaded(false, {2, true});
  for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  loaded.device->faults.lost = true;
  for (int i = 0; i < 5; i++) EXPECT_EQ(loaded.start({1}).get().error, "the GPU has fallen off the bus");
  loaded.engine.reset();
}

TEST(Engine, CannotBeOpenedOnALostDevice) {
  auto device = std::make_shared<HostDevice>();
  device->faults.lost = true;
  EXPECT_THROW(Engine(device, std::make_unique<HostPlan>(*device, false), {}), std::runtime_error);
}

TEST(Engine, GivesTheRuntimeCacheWhileItRuns) {
  Loaded loaded;
  auto running = loaded.start({1});
  EXPECT_EQ(loaded.engine->runtimeCache(), std::vector<char>{'k'});
  EXPECT_EQ(result(std::move(running)), std::vector<float>{2});
}

}  // namespace
}  // namespace onnx_engine::tensorrt
