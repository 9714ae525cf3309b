#include "engine.h"

#include <algorithm>

namespace onnx_engine::onnxruntime {

namespace {

size_t shared() { return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, Engine::sharedTurns); }

// Never freed: threads of engines may use it while the process exits.
Turns& turns() {
  static auto* instance = new Turns(shared());
  return *instance;
}

}  // namespace

Engine::Engine(std::unique_ptr<Session> session, std::optional<size_t> runs)
    : session_(std::move(session)), runs_(runs.value_or(shared())), queue_(runs_, runs ? nullptr : &turns()) {}

uint64_t Engine::submit(std::vector<Tensor> inputs, std::vector<Target> targets, Done done) {
  // Shared by the functions of the call, each of which std::function wants to be able to copy.
  struct Call {
    std::vector<Tensor> inputs;
    std::vector<Target> targets;
    Handle<OrtRunOptions> options;
    Done done;
  };
  auto call =
      std::make_shared<Call>(Call{std::move(inputs), std::move(targets), session_->runOptions(), std::move(done)});
  QueuedCall queued;
  queued.run = [this, call](size_t) {
    Outcome outcome;
    try {
      outcome.outputs = session_->run(call->inputs, call->targets, call->options.get());
    } catch (const std::exception& error) {
      outcome.error = error.what();
    }
    call->done(std::move(outcome));
  };
  queued.drop = [call](const char* reason, bool) { call->done({{}, reason}); };
  queued.interrupt = [this, call] {
    const OrtApi& api = session_->library().api();
    // It fails only without options.
    if (OrtStatus* status = api.RunOptionsSetTerminate(call->options.get())) api.ReleaseStatus(status);
  };
  return queue_.push(std::move(queued));
}

std::vector<Output> Engine::runNow(const std::vector<Tensor>& inputs, const std::vector<Target>& targets) {
  const ExitGate::Pass pass;
  return session_->run(inputs, targets, nullptr);
}

}  // namespace onnx_engine::onnxruntime
