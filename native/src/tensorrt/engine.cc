#include "engine.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace onnx_engine::tensorrt {

Engine::Engine(std::shared_ptr<Device> device, std::unique_ptr<Plan> plan, const EngineSettings& settings)
    : device_(std::move(device)), plan_(std::move(plan)), timed_(settings.timed), queue_(settings.contexts) {
  device_->enter();
  const auto& ports = plan_->ports();
  const auto inputs =
      static_cast<size_t>(std::count_if(ports.begin(), ports.end(), [](const Port& port) { return port.input; }));
  const size_t contexts = std::max<size_t>(settings.contexts, 1);
  staging_ = std::make_unique<Staging>(*device_, contexts * inputs);
  for (size_t i = 0; i < contexts; i++)
    slots_.push_back(std::make_unique<InferenceSlot>(*device_, *plan_, *staging_, settings.graphs, settings.timed));
}

Engine::~Engine() {
  queue_.stop();
  try {
    device_->enter();
  } catch (const std::exception&) {
    // The device is lost, and its memory with it: freeing it fails too, with no effect.
  }
  slots_.clear();
  staging_.reset();
  plan_.reset();
}

Tensor Engine::copyOf(const void* data, size_t bytes, std::vector<int64_t> dims) {
  Tensor tensor;
  tensor.block = staging_->lend(bytes);
  void* to = tensor.block.data();
  if (to == nullptr) {
    tensor.own.reset(new uint8_t[bytes]);
    to = tensor.own.get();
  }
  if (bytes > 0) std::memcpy(to, data, bytes);
  tensor.data = to;
  tensor.bytes = bytes;
  tensor.dims = std::move(dims);
  return tensor;
}

uint64_t Engine::submit(std::vector<Tensor> inputs, std::vector<Target> targets, Done done) {
  // Shared by the functions of the call, which std::function must be able to copy.
  struct Call {
    std::vector<Tensor> inputs;
    std::vector<Target> targets;
    Done done;
  };
  auto call = std::make_shared<Call>(Call{std::move(inputs), std::move(targets), std::move(done)});
  QueuedCall queued;
  queued.run = [this, call](size_t thread) {
    Outcome outcome;
    try {
      device_->enter();
      outcome.outputs = slots_[thread]->run(call->inputs, call->targets);
      if (timed_) keepTimes(*slots_[thread]);
    } catch (const std::exception& error) {
      outcome.error = error.what();
    }
    // Before `done`: borrowed bytes are the caller's again, and blocks are free for the next call.
    call->inputs.clear();
    call->done(std::move(outcome));
  };
  queued.drop = [call](const char* reason, bool cancelled) {
    call->inputs.clear();
    call->done({{}, reason, cancelled});
  };
  return queue_.push(std::move(queued));
}

void Engine::keepTimes(const InferenceSlot& slot) {
  constexpr size_t most = 4096;
  const GpuTimes times = slot.times();
  const std::lock_guard<std::mutex> lock(timesMutex_);
  if (times_.size() < most) times_.push_back(times);
}

std::vector<GpuTimes> Engine::takeTimes() {
  const std::lock_guard<std::mutex> lock(timesMutex_);
  return std::exchange(times_, {});
}

std::vector<char> Engine::runtimeCache() {
  device_->enter();
  return plan_->runtimeCache();
}

}  // namespace onnx_engine::tensorrt
