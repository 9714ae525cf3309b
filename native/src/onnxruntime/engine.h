#pragma once

#include "../call_queue.h"
#include "session.h"

#include <optional>

namespace onnx_engine::onnxruntime {

// The result of an inference: outputs in the order of the session's, or an error.
struct Outcome {
  std::vector<Output> outputs;
  std::string error;
};

// A session and the queue of its inferences. Any thread may call; nothing here waits except `runNow` and the
// destructor: that ends what waits with an error, asks what runs to stop, and waits for it. After it no `Done` is
// called.
class Engine {
 public:
  // On a thread of the engine, or on the one that cancels. Must not throw, block, or call into this engine.
  using Done = std::function<void(Outcome)>;

  // `runs`: how many inferences may go on at once; without it they share the turns of the process, of which there are
  // as many as processors, and no more than `sharedTurns`.
  Engine(std::unique_ptr<Session> session, std::optional<size_t> runs);

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  static constexpr size_t sharedTurns = 4;

  // About the time that an event loop takes to wake up.
  static constexpr std::chrono::microseconds quickRun{50};

  const Session& session() const { return *session_; }

  // How many inferences go on at once, at most.
  size_t runs() const { return runs_; }

  // Whether an inference that is submitted now is likely to have ended sooner than an event loop could wake.
  bool isQuick() const { return queue_.isAwake() && queue_.lastRun() <= quickRun; }

  // Queues an inference. The bytes of inputs and targets stay alive until `done`, and those of inputs unchanged.
  uint64_t submit(std::vector<Tensor> inputs, std::vector<Target> targets, Done done);

  // Ends an inference that has not begun, and asks ONNX Runtime to stop one that has: it does so before its next node.
  void cancel(uint64_t id) { queue_.cancel(id); }

  // Runs on the calling thread. Throws std::runtime_error.
  std::vector<Output> runNow(const std::vector<Tensor>& inputs, const std::vector<Target>& targets);

 private:
  std::unique_ptr<Session> session_;
  size_t runs_;
  // Last: its destructor waits for the threads that use the session.
  CallQueue queue_;
};

}  // namespace onnx_engine::onnxruntime
