#pragma once

#include "engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <set>

namespace onnx_engine::tensorrt {

// A GPU of host memory for the test binaries, which alone are built with it. It demands what CUDA and TensorRT demand:
// device and host memory are not the same, addresses are aligned, and a stream is a list of work that runs when it is
// waited for, as on a slow GPU, so that whoever reads too early reads old bytes and whoever frees too early is found by
// AddressSanitizer.

// A count of calls that still succeed.
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
  // TensorRT does not tell the dims of an output, or tells more than it asked memory for.
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

  // What a kernel would do.
  void put(Stream stream, std::function<void()> step);
  bool isPinned(const void* memory);
  static bool takeFrom(Until& left) { return left-- > 0; }

  Faults faults;
  std::atomic<int> launches{0};
  std::atomic<int> captures{0};
  // Inferences that are being waited for, or have been.
  std::atomic<int> waits{0};
  std::atomic<int> pinned{0};

 private:
  void check() const;
  void* take(size_t bytes, std::set<void*>& all);
  void give(void* memory, std::set<void*>& all) noexcept;

  std::mutex mutex_;
  std::set<void*> memory_;
  std::set<void*> pinnedMemory_;
  std::atomic<int> streams_{0};
  std::atomic<int> graphs_{0};
};

// What the engine computes: y = x + 1; the same for exactly 4 numbers; and z = those of x that are above zero, whose
// number only the run tells; or y = x repeated `times` times, where `times` is a shape tensor.
enum class Model { addOne, fixed, positive, repeat };

class HostPlan : public Plan {
 public:
  HostPlan(HostDevice& device, Model model);
  const std::vector<Port>& ports() const override { return ports_; }
  const std::vector<Bounds>& profiles() const override { return profiles_; }
  std::unique_ptr<Execution> createExecution() override;
  std::vector<char> runtimeCache() override { return {'k'}; }

  // How often an address was told, and whether a graph may be captured.
  std::atomic<int> told{0};
  std::atomic<bool> capturable{true};

 private:
  HostDevice& device_;
  Model model_;
  std::vector<Port> ports_;
  std::vector<Bounds> profiles_;
};

// An engine on the double, and what a caller does with it.
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

// An output of an inference. Throws what went wrong.
std::vector<float> result(std::future<Outcome> future, size_t output = 0);

}  // namespace onnx_engine::tensorrt
