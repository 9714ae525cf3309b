#include "engine.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

// Memory that grows and never shrinks: shapes come back. Growing moves it, which spoils graphs that hold its address.
class Memory {
 public:
  Memory(Device& device, bool pinned) : device_(&device), pinned_(pinned) {}
  Memory(Memory&& other) noexcept : device_(other.device_), pinned_(other.pinned_), data_(other.data_), capacity_(other.capacity_) { other.data_ = nullptr; }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { release(); }

  // Whether it moved. An empty tensor needs an address too.
  bool grow(size_t bytes) {
    if (data_ != nullptr && bytes <= capacity_) return false;
    release();
    capacity_ = 0;
    data_ = pinned_ ? device_->allocatePinned(std::max<size_t>(bytes, 1)) : device_->allocate(std::max<size_t>(bytes, 1));
    capacity_ = bytes;
    return true;
  }

  void* data() const { return data_; }

 private:
  void release() noexcept {
    if (data_ == nullptr) return;
    if (pinned_) device_->freePinned(data_);
    else device_->free(data_);
    data_ = nullptr;
  }

  Device* device_;
  bool pinned_;
  void* data_ = nullptr;
  size_t capacity_ = 0;
};

std::string text(const std::vector<int64_t>& dims) {
  std::string all;
  for (const int64_t dim : dims) all += (all.empty() ? "" : ",") + std::to_string(dim);
  return "[" + all + "]";
}

size_t byteSize(const Port& port, const std::vector<int64_t>& dims) {
  size_t size = port.bytes;
  for (const int64_t dim : dims) {
    if (dim < 0) throw std::runtime_error("'" + port.name + "' has a negative dim");
    const auto count = static_cast<size_t>(dim);
    if (count != 0 && size > std::numeric_limits<size_t>::max() / count) throw std::runtime_error("'" + port.name + "' is too large");
    size *= count;
  }
  return size;
}

bool fits(const std::vector<int64_t>& dims, const std::vector<int64_t>& min, const std::vector<int64_t>& max) {
  if (dims.size() != min.size() || dims.size() != max.size()) return false;
  for (size_t i = 0; i < dims.size(); i++) {
    if (dims[i] < min[i] || dims[i] > max[i]) return false;
  }
  return true;
}

}  // namespace

// Everything that one inference at a time needs. Used by one thread.
class Engine::Slot {
 public:
  Slot(Device& device, Plan& plan, bool graphs) : device_(device), plan_(plan), graphs_(graphs), execution_(plan.createExecution()) {
    for (const auto& port : plan.ports()) {
      sides_.emplace_back(device, port);
      if (port.input && port.onHost) graphs_ = false;
    }
    stream_ = device.createStream();
  }

  ~Slot() {
    dropGraph();
    device_.destroyStream(stream_);
  }

  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  std::vector<Tensor> run(const std::vector<Tensor>& inputs) {
    prepareInputs(inputs);
    prepareOutputs();
    try {
      execute();
      device_.synchronize(stream_);
      return collect();
    } catch (...) {
      // What was recorded or half done is not to be trusted.
      dropGraph();
      repeats_ = 0;
      throw;
    }
  }

 private:
  struct Side : OutputMemory {
    Side(Device& device, const Port& its) : port(its), onDevice(device, false), staging(device, true) {}

    void* reserve(size_t bytes) noexcept override {
      try {
        onDevice.grow(bytes);
        return onDevice.data();
      } catch (...) {
        return nullptr;
      }
    }

    void setDims(const std::vector<int64_t>& known) noexcept override { dims = known; }

    const Port& port;
    Memory onDevice;
    Memory staging;
    std::vector<int64_t> dims;
    size_t bytes = 0;
    bool known = true;
  };

  void prepareInputs(const std::vector<Tensor>& inputs) {
    chooseProfile(inputs);
    size_t next = 0;
    for (auto& side : sides_) {
      if (!side.port.input) continue;
      const Tensor& tensor = inputs[next++];
      const size_t bytes = byteSize(side.port, tensor.dims);
      if (bytes != tensor.bytes) throw std::runtime_error("input '" + side.port.name + "' has another size than its dims " + text(tensor.dims));
      if (side.staging.grow(bytes)) change();
      if (!side.port.onHost && side.onDevice.grow(bytes)) change();
      if (bytes > 0) std::memcpy(side.staging.data(), tensor.data, bytes);
      if (tensor.dims != side.dims || !started_) {
        change();
        execution_->setDims(side.port.name, tensor.dims);
        side.dims = tensor.dims;
      }
      side.bytes = bytes;
      execution_->setAddress(side.port.name, side.port.onHost ? side.staging.data() : side.onDevice.data());
    }
    started_ = true;
  }

  void chooseProfile(const std::vector<Tensor>& inputs) {
    const auto& profiles = plan_.profiles();
    for (size_t number = 0; number < profiles.size(); number++) {
      bool all = profiles[number].min.size() == inputs.size();
      for (size_t i = 0; all && i < inputs.size(); i++) all = fits(inputs[i].dims, profiles[number].min[i], profiles[number].max[i]);
      if (!all) continue;
      if (number == profile_) return;
      change();
      execution_->setProfile(number, stream_);
      profile_ = number;
      // Dims of the last profile are forgotten by TensorRT.
      started_ = false;
      return;
    }
    std::string all;
    for (const auto& input : inputs) all += " " + text(input.dims);
    throw std::runtime_error("the inputs" + all + " fit no optimization profile of the engine");
  }

  void prepareOutputs() {
    dynamic_ = false;
    for (auto& side : sides_) {
      if (side.port.input) continue;
      auto dims = execution_->dimsOf(side.port.name);
      side.known = std::none_of(dims.begin(), dims.end(), [](int64_t dim) { return dim < 0; });
      execution_->setMemory(side.port.name, side.known ? nullptr : &side);
      if (!side.known) {
        dynamic_ = true;
        continue;
      }
      side.bytes = byteSize(side.port, dims);
      side.dims = std::move(dims);
      if (side.staging.grow(side.bytes)) change();
      if (!side.port.onHost && side.onDevice.grow(side.bytes)) change();
      execution_->setAddress(side.port.name, side.port.onHost ? side.staging.data() : side.onDevice.data());
    }
  }

  void execute() {
    if (graph_ != nullptr) {
      device_.launch(graph_, stream_);
      return;
    }
    // TensorRT prepares lazily, so what comes first with new shapes is not recorded.
    if (!graphs_ || dynamic_ || repeats_++ == 0) {
      record();
      return;
    }
    device_.beginCapture(stream_);
    std::string failure;
    try {
      record();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    try {
      graph_ = device_.endCapture(stream_);
    } catch (const std::exception&) {
      graph_ = nullptr;
    }
    if (!failure.empty()) dropGraph();
    if (graph_ != nullptr) {
      device_.launch(graph_, stream_);
      return;
    }
    // Some engines cannot be recorded, and say so only here. They run as well without.
    graphs_ = false;
    record();
  }

  void record() {
    for (auto& side : sides_) {
      if (side.port.input && !side.port.onHost && side.bytes > 0) device_.upload(side.onDevice.data(), side.staging.data(), side.bytes, stream_);
    }
    execution_->enqueue(stream_);
    for (auto& side : sides_) {
      if (side.port.input || side.port.onHost) continue;
      if (!side.known) {
        side.bytes = byteSize(side.port, side.dims);
        side.staging.grow(side.bytes);
      }
      if (side.bytes > 0) device_.download(side.staging.data(), side.onDevice.data(), side.bytes, stream_);
    }
  }

  // Copies, so that the next inference can use the buffers before JavaScript has looked at these.
  std::vector<Tensor> collect() {
    std::vector<Tensor> outputs;
    for (const auto& side : sides_) {
      if (side.port.input) continue;
      Tensor output;
      output.own.reset(new uint8_t[side.bytes]);
      if (side.bytes > 0) std::memcpy(output.own.get(), side.staging.data(), side.bytes);
      output.data = output.own.get();
      output.bytes = side.bytes;
      output.dims = side.dims;
      outputs.push_back(std::move(output));
    }
    return outputs;
  }

  void change() {
    dropGraph();
    repeats_ = 0;
  }

  void dropGraph() {
    if (graph_ != nullptr) device_.destroyGraph(graph_);
    graph_ = nullptr;
  }

  Device& device_;
  Plan& plan_;
  bool graphs_;
  // In a deque: TensorRT and the ports are told addresses of its elements.
  std::deque<Side> sides_;
  std::unique_ptr<Execution> execution_;
  Stream stream_ = nullptr;
  Graph graph_ = nullptr;
  size_t profile_ = 0;
  size_t repeats_ = 0;
  bool started_ = false;
  bool dynamic_ = false;
};

Engine::Engine(std::shared_ptr<Device> device, std::unique_ptr<Plan> plan, const EngineSettings& settings) : device_(std::move(device)), plan_(std::move(plan)) {
  device_->enter();
  const size_t count = std::max<size_t>(settings.contexts, 1);
  for (size_t i = 0; i < count; i++) slots_.push_back(std::make_unique<Slot>(*device_, *plan_, settings.graphs));
  for (auto& slot : slots_) threads_.emplace_back([this, &slot] { work(*slot); });
}

Engine::~Engine() {
  std::deque<Job> left;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    left.swap(queue_);
  }
  wake_.notify_all();
  for (auto& job : left) job.done({{}, "the engine is closed", false});
  for (auto& thread : threads_) thread.join();
  try {
    device_->enter();
  } catch (const std::exception&) {
    // The device is lost: what is left on it is gone, and freeing it only says so again.
  }
  slots_.clear();
  plan_.reset();
}

uint64_t Engine::submit(std::vector<Tensor> inputs, Done done) {
  uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = ++last_;
    queue_.push_back({id, std::move(inputs), std::move(done)});
  }
  wake_.notify_one();
  return id;
}

void Engine::cancel(uint64_t id) {
  Done done;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(queue_.begin(), queue_.end(), [id](const Job& job) { return job.id == id; });
    if (found == queue_.end()) return;
    done = std::move(found->done);
    queue_.erase(found);
  }
  done({{}, "the inference was cancelled", true});
}

std::vector<char> Engine::runtimeCache() {
  device_->enter();
  return plan_->runtimeCache();
}

void Engine::work(Slot& slot) {
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
      outcome.outputs = slot.run(job.inputs);
    } catch (const std::exception& error) {
      outcome.error = error.what();
    }
    // The inputs go before anyone is told: borrowed bytes are the caller's again.
    job.inputs.clear();
    job.done(std::move(outcome));
  }
}

}  // namespace onnx_engine::tensorrt
