#include "slot.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace onnx_engine::tensorrt {

// One input or output of one execution context.
struct Slot::Side : OutputMemory {
  Side(Device& device, const Port& its) : port(its), onDevice(device, false), onHost(device, true) {}

  Memory& home() { return port.onHost ? onHost : onDevice; }

  void* reserve(size_t bytes) noexcept override {
    try {
      home().grow(bytes);
      return home().data();
    } catch (...) {
      return nullptr;
    }
  }

  void setDims(const std::vector<int64_t>& told) noexcept override {
    dims = told;
    known = true;
  }

  const Port& port;
  Memory onDevice;
  // Where an output is downloaded to, and the values of what TensorRT reads and writes on the host.
  Memory onHost;
  std::vector<int64_t> dims;
  size_t bytes = 0;
  // Its dims are told by the run, and whether they are known by now.
  bool dynamic = false;
  bool known = false;
};

Slot::Slot(Device& device, Plan& plan, Staging& staging, bool graphs)
    : device_(device), plan_(plan), staging_(staging), graphs_(graphs), execution_(plan.createExecution()) {
  for (const auto& port : plan.ports()) sides_.push_back(std::make_unique<Side>(device, port));
  stream_ = device.createStream();
}

Slot::~Slot() {
  dropGraph();
  // Before the stream that it has been told of.
  execution_.reset();
  device_.destroyStream(stream_);
}

std::vector<Tensor> Slot::run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets) {
  std::vector<Staging::Block> blocks;
  try {
    bind(inputs);
    upload(inputs, blocks);
    execute();
    device_.synchronize(stream_);
    return collect(targets);
  } catch (...) {
    // What was recorded or half done is not to be trusted, and copies that are under way use memory that is about to be
    // another's.
    unbind();
    try {
      device_.synchronize(stream_);
    } catch (const std::exception&) {
      // Whoever asked hears of the first failure.
    }
    throw;
  }
}

void Slot::bind(const std::vector<Tensor>& inputs) {
  const size_t profile = profileFor(plan_, inputs);
  if (isBound(profile, inputs)) return;
  unbind();
  if (profile != profile_) execution_->setProfile(profile, stream_);
  profile_ = profile;
  size_t next = 0;
  for (const auto& side : sides_) {
    if (!side->port.input) continue;
    const Tensor& tensor = inputs[next++];
    side->bytes = byteSize(side->port, tensor.dims);
    if (side->bytes != tensor.bytes)
      throw std::runtime_error("input '" + side->port.name + "' has another size than its dims say");
    side->home().grow(side->bytes);
    if (side->port.onHost && side->bytes > 0) std::memcpy(side->onHost.data(), tensor.data, side->bytes);
    execution_->setDims(side->port.name, tensor.dims);
    execution_->setAddress(side->port.name, side->home().data());
    side->dims = tensor.dims;
  }
  execution_->inferDims();
  dynamic_ = false;
  for (const auto& side : sides_) {
    if (!side->port.input) bindOutput(*side);
  }
  bound_ = true;
}

// Whether nothing is to be told: same dims, and same values where those decide dims.
bool Slot::isBound(size_t profile, const std::vector<Tensor>& inputs) const {
  if (!bound_ || profile != profile_) return false;
  size_t next = 0;
  return std::all_of(sides_.begin(), sides_.end(), [&](const auto& side) {
    if (!side->port.input) return true;
    const Tensor& tensor = inputs[next++];
    if (tensor.dims != side->dims || tensor.bytes != side->bytes) return false;
    return !side->port.onHost || tensor.bytes == 0 || std::memcmp(side->onHost.data(), tensor.data, tensor.bytes) == 0;
  });
}

void Slot::bindOutput(Side& side) {
  auto dims = execution_->dimsOf(side.port.name);
  side.dynamic = std::any_of(dims.begin(), dims.end(), [](int64_t dim) { return dim < 0; });
  execution_->setMemory(side.port.name, side.dynamic ? &side : nullptr);
  if (side.dynamic) {
    dynamic_ = true;
    return;
  }
  side.bytes = byteSize(side.port, dims);
  side.dims = std::move(dims);
  side.known = true;
  side.home().grow(side.bytes);
  side.onHost.grow(side.bytes);
  execution_->setAddress(side.port.name, side.home().data());
}

void Slot::upload(const std::vector<Tensor>& inputs, std::vector<Staging::Block>& blocks) {
  size_t next = 0;
  for (const auto& side : sides_) {
    if (!side->port.input) continue;
    const Tensor& tensor = inputs[next++];
    if (side->port.onHost || tensor.bytes == 0) continue;
    const void* from = tensor.block.data();
    if (from == nullptr) {
      blocks.push_back(staging_.take(tensor.bytes));
      std::memcpy(blocks.back().data(), tensor.data, tensor.bytes);
      from = blocks.back().data();
    }
    device_.upload(side->onDevice.data(), from, tensor.bytes, stream_);
  }
}

void Slot::execute() {
  if (graph_ != nullptr) {
    device_.launch(graph_, stream_);
    return;
  }
  // TensorRT prepares lazily, so what comes first with new shapes is not captured.
  if (!graphs_ || dynamic_ || repeats_++ == 0 || !execution_->canCapture(stream_)) {
    enqueue();
    return;
  }
  capture();
  if (graph_ != nullptr) {
    device_.launch(graph_, stream_);
    return;
  }
  // Some engines cannot be captured, and say so only here. They run as well without.
  graphs_ = false;
  enqueue();
}

void Slot::capture() {
  device_.beginCapture(stream_);
  bool complete = true;
  try {
    enqueue();
  } catch (const std::exception&) {
    complete = false;
  }
  // Ended in any case: a stream that is left capturing can do nothing else.
  try {
    graph_ = device_.endCapture(stream_);
  } catch (const std::exception&) {
    graph_ = nullptr;
  }
  if (!complete) dropGraph();
}

void Slot::enqueue() {
  for (const auto& side : sides_) side->known = side->known && !side->dynamic;
  execution_->enqueue(stream_);
  for (const auto& side : sides_) {
    if (side->port.input) continue;
    if (side->dynamic) {
      if (!side->known) throw std::runtime_error("TensorRT did not tell the dims of '" + side->port.name + "'");
      side->bytes = byteSize(side->port, side->dims);
      if (side->bytes > side->home().capacity())
        throw std::runtime_error("TensorRT told dims of '" + side->port.name +
                                 "' that need more memory than it asked for");
      if (!side->port.onHost) side->onHost.grow(side->bytes);
    }
    if (!side->port.onHost && side->bytes > 0)
      device_.download(side->onHost.data(), side->onDevice.data(), side->bytes, stream_);
  }
}

std::vector<Tensor> Slot::collect(const std::vector<Target>& targets) const {
  std::vector<Tensor> outputs;
  for (const auto& side : sides_) {
    if (side->port.input) continue;
    const Target target = outputs.size() < targets.size() ? targets[outputs.size()] : Target{};
    Tensor output;
    void* to = target.data;
    if (to == nullptr || target.bytes != side->bytes) {
      output.own.reset(new uint8_t[side->bytes]);
      to = output.own.get();
    }
    if (side->bytes > 0) std::memcpy(to, side->onHost.data(), side->bytes);
    output.data = to;
    output.bytes = side->bytes;
    output.dims = side->dims;
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void Slot::unbind() {
  dropGraph();
  repeats_ = 0;
  bound_ = false;
}

void Slot::dropGraph() {
  if (graph_ != nullptr) device_.destroyGraph(graph_);
  graph_ = nullptr;
}

}  // namespace onnx_engine::tensorrt
