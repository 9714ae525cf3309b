#include "engine.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace onnx_engine::tensorrt {

Engine::Engine(std::shared_ptr<Device> device, std::unique_ptr<Plan> plan, const EngineSettings& settings)
    : device_(std::move(device)), plan_(std::move(plan)) {
  device_->enter();
  const auto& ports = plan_->ports();
  const auto inputs =
      static_cast<size_t>(std::count_if(ports.begin(), ports.end(), [](const Port& port) { return port.input; }));
  const size_t contexts = std::max<size_t>(settings.contexts, 1);
  staging_ = std::make_unique<Staging>(*device_, contexts * inputs);
  for (size_t i = 0; i < contexts; i++)
    slots_.push_back(std::make_unique<InferenceSlot>(*device_, *plan_, *staging_, settings.graphs));
  try {
    for (auto& slot : slots_) threads_.emplace_back([this, &slot] { work(*slot); });
  } catch (...) {
    // The system refused another thread: those that run must not outlive this.
    stop();
    throw;
  }
}

Engine::~Engine() {
  stop();
  try {
    device_->enter();
  } catch (const std::exception&) {
    // The device is lost, and its memory with it: freeing it fails too, with no effect.
  }
  slots_.clear();
  staging_.reset();
  plan_.reset();
}

void Engine::stop() {
  std::deque<Job> left;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    left.swap(queue_);
  }
  wake_.notify_all();
  for (auto& job : left) job.done({{}, "the engine is closed", false});
  for (auto& thread : threads_) thread.join();
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
  uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = ++last_;
    queue_.push_back({id, std::move(inputs), std::move(targets), std::move(done)});
  }
  wake_.notify_one();
  return id;
}

void Engine::cancel(uint64_t id) {
  Job job;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found =
        std::find_if(queue_.begin(), queue_.end(), [id](const Job& waiting) { return waiting.id == id; });
    if (found == queue_.end()) return;
    job = std::move(*found);
    queue_.erase(found);
  }
  job.inputs.clear();
  job.done({{}, "the inference was cancelled", true});
}

std::vector<char> Engine::runtimeCache() {
  device_->enter();
  return plan_->runtimeCache();
}

void Engine::work(InferenceSlot& slot) {
  std::string lost;
  try {
    device_->enter();
  } catch (const std::exception& error) {
    lost = error.what();
  }
  for (;;) {
    Job job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    Outcome outcome;
    try {
      if (!lost.empty()) throw std::runtime_error(lost);
      outcome.outputs = slot.run(job.inputs, job.targets);
    } catch (const std::exception& error) {
      outcome.error = error.what();
    }
    // Before `done`: borrowed bytes are the caller's again, and blocks are free for the next call.
    job.inputs.clear();
    job.done(std::move(outcome));
  }
}

}  // namespace onnx_engine::tensorrt
