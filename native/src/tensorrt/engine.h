#pragma once

#include "../call_queue.h"
#include "inference_slot.h"

#include <mutex>

namespace onnx_engine::tensorrt {

// The result of an inference: outputs in the order of the plan's output ports, or an error.
struct Outcome {
  std::vector<Tensor> outputs;
  std::string error;
  bool cancelled = false;
};

struct EngineSettings {
  // How many inferences run at once, each with an execution context, a stream, buffers and a thread of its own.
  size_t contexts = 2;
  // Replays an inference as one CUDA graph, once its shapes have occurred twice in a row.
  bool graphs = true;
  // Times each inference on the GPU, for `takeTimes`.
  bool timed = false;
};

// A loaded engine and its queue. Any thread may call it; only the destructor waits for the GPU.
class Engine {
 public:
  // Called on a thread of the engine, or on the one that cancels. Must not throw, block, or call into this engine.
  using Done = std::function<void(Outcome)>;

  Engine(std::shared_ptr<Device> device, std::unique_ptr<Plan> plan, const EngineSettings& settings);

  // Ends queued inferences with an error, waits for running ones, then frees everything. No `Done` is called after
  // this. Tensors of `copyOf` must have been submitted or destroyed before.
  ~Engine();

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::vector<Port>& ports() const { return plan_->ports(); }
  const std::vector<Bounds>& profiles() const { return plan_->profiles(); }

  // A copy of an input, in a pinned block when one is free.
  Tensor copyOf(const void* data, size_t bytes, std::vector<int64_t> dims);

  // Queues an inference, inputs in the order of the plan's input ports. Borrowed bytes and targets must stay alive and
  // unchanged until `done`.
  uint64_t submit(std::vector<Tensor> inputs, std::vector<Target> targets, Done done);

  // Ends an inference that is still queued. One that runs cannot be stopped; it ends as usual.
  void cancel(uint64_t id) { queue_.cancel(id); }

  // The times of inferences that have ended since the last call; of the first 4096, when there were more.
  std::vector<GpuTimes> takeTimes();

  // See Plan. Blocks: not for the JavaScript thread.
  std::vector<char> runtimeCache();

 private:
  void keepTimes(const InferenceSlot& slot);

  std::shared_ptr<Device> device_;
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<Staging> staging_;
  std::vector<std::unique_ptr<InferenceSlot>> slots_;
  bool timed_;
  std::mutex timesMutex_;
  std::vector<GpuTimes> times_;
  // Each of its threads runs inferences in the slot of the same number.
  CallQueue queue_;
};

}  // namespace onnx_engine::tensorrt
