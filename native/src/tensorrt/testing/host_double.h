#pragma once

#include "../engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <set>

namespace onnx_engine::tensorrt {

// A double of the GPU in host memory, which only the tests are built with. It demands what CUDA and TensorRT demand:
// device and host memory differ, and addresses are aligned. A stream is a list of work that runs only when someone
// waits for it, as on a slow GPU: code that reads too early gets old bytes, and AddressSanitizer finds code that frees
// too early.

// How many more calls succeed.
using Until = std::atomic<int>;
constexpr int always = 1 << 30;

struct Faults {
  Until allocations{always};
  Until enqueues{always};
  Until synchronizes{always};
  Until uploads{always};
  Until downloads{always};
  std::atomic<bool> lost{false};
  std::atomic<bool> capture{false};
  // TensorRT does not report the dims of an output, or reports more than it asked memory for.
  std::atomic<bool> silent{false};
  std::atomic<bool> boastful{false};
  std::atomic<int> slowMilliseconds{0};
};

class HostDevice : public Device {
 public:
  ~HostDevice() override;

  void enter() override { check(); }
  void* allocate(size_t bytes) override;
  void free(void* memory) noexcept override;
  void* allocatePinned(size_t bytes) override;
  void freePinned(void* memory) noexcept override;
  Stream createStream() override;
  void destroyStream(Stream stream) noexcept override;
  void upload(void* device, const void* host, size_t bytes, Stream stream) override;
  void download(void* host, const void* device, size_t bytes, Stream stream) override;
  void synchronize(Stream stream) override;
  void beginCapture(Stream stream) override;
  Graph endCapture(Stream stream) override;
  void launch(Graph graph, Stream stream) override;
  void destroyGraph(Graph graph) noexcept override;
  Event createEvent() override;
  void destroyEvent(Event event) noexcept override;
  void record(Event event, Stream stream) override;
  // Counts the steps of the stream that ran in between: the double has no time.
  float elapsed(Event from, Event to) override;

  // Adds work to a stream, as launching a kernel does.
  void put(Stream stream, std::function<void()> step);
  bool isPinned(const void* memory);
  static bool takeFrom(Until& left) { return left-- > 0; }

  Faults faults;
  std::atomic<int> launches{0};
  std::atomic<int> captures{0};
  // How often anyone has waited for a stream.
  std::atomic<int> waits{0};
  std::atomic<int> pinned{0};
  // How many events were ever made.
  std::atomic<int> eventsMade{0};

 private:
  void add(Stream stream, std::function<void()> step);
  void check() const;
  void* take(size_t bytes, std::set<void*>& all);
  void give(void* memory, std::set<void*>& all) noexcept;

  std::mutex mutex_;
  std::set<void*> memory_;
  std::set<void*> pinnedMemory_;
  std::atomic<int> streams_{0};
  std::atomic<int> graphs_{0};
  std::atomic<int> events_{0};
};

// What the engine computes. addOne: y = x + 1. fixed: the same for exactly 4 numbers. positive: also z, the numbers of
// x above zero, whose count only the inference decides. repeat: y = x repeated `times` times, where `times` is a shape
// tensor.
enum class Model { addOne, fixed, positive, repeat };

class HostPlan : public Plan {
 public:
  HostPlan(HostDevice& device, Model model);
  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }
  std::unique_ptr<Execution> createExecution() override;
  std::vector<char> runtimeCache() override { return {'k'}; }

  // How often an address was set.
  std::atomic<int> addressesSet{0};
  // Whether a graph may be captured.
  std::atomic<bool> capturable{true};

 private:
  HostDevice& device_;
  Model model_;
  std::vector<Port> ports_;
  std::vector<Bounds> profiles_;
};

// An engine on the double, with the calls that a user of the engine makes.
struct Loaded {
  explicit Loaded(Model model = Model::addOne, EngineSettings settings = {});

  // Queues x, and `times` for a model that repeats.
  std::future<Outcome> start(const std::vector<float>& x, uint64_t* id = nullptr);
  std::future<Outcome> repeat(const std::vector<float>& x, int64_t times);
  std::future<Outcome> submit(std::vector<Tensor> inputs, std::vector<Target> targets = {}, uint64_t* id = nullptr);
  Tensor tensor(const std::vector<float>& values);

  std::shared_ptr<HostDevice> device;
  HostPlan* plan = nullptr;
  std::unique_ptr<Engine> engine;
};

std::vector<float> floats(const Tensor& tensor);

// Waits for an output of an inference. Throws its error.
std::vector<float> result(std::future<Outcome> future, size_t output = 0);

}  // namespace onnx_engine::tensorrt
