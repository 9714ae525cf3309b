#include "inference_slot.h"

#include "../format.h"
#include "port_buffers.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

// The events of a timed inference.
enum : size_t { started, uploaded, computed, downloaded, eventCount };

}  // namespace

InferenceSlot::InferenceSlot(Device& device, Plan& plan, Staging& staging, bool graphs, bool timed)
    : device_(device), plan_(plan), staging_(staging), graphs_(graphs), execution_(plan.createExecution()) {
  for (const auto& port : plan.ports())
    (port.input ? inputs_ : outputs_).push_back(std::make_unique<PortBuffers>(device, port));
  stream_ = device.createStream();
  for (size_t event = 0; timed && event < eventCount; event++) events_.push_back(device.createEvent());
}

InferenceSlot::~InferenceSlot() {
  dropGraph();
  // Before the stream, which the context uses.
  execution_.reset();
  for (Event event : events_) device_.destroyEvent(event);
  device_.destroyStream(stream_);
}

std::vector<Tensor> InferenceSlot::run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets) {
  std::vector<Staging::Block> blocks;
  try {
    bind(inputs);
    mark(started);
    upload(inputs, blocks);
    mark(uploaded);
    execute();
    device_.synchronize(stream_);
    return collect(targets);
  } catch (...) {
    // What was captured or bound may be incomplete. Copies that still run use blocks that are about to be lent again.
    unbind();
    try {
      device_.synchronize(stream_);
    } catch (const std::exception&) {
      // The caller gets the first failure.
    }
    throw;
  }
}

void InferenceSlot::bind(const std::vector<Tensor>& inputs) {
  const size_t profile = profileFor(plan_, inputs);
  if (isBound(profile, inputs)) return;
  unbind();
  if (profile != profile_) execution_->setProfile(profile, stream_);
  profile_ = profile;
  for (size_t i = 0; i < inputs_.size(); i++) bindInput(*inputs_[i], inputs[i]);
  execution_->inferDims();
  dynamic_ = false;
  for (const auto& buffers : outputs_) bindOutput(*buffers);
  bound_ = true;
}

// Whether the context is set for these inputs already: same dims, and same values where values decide dims.
bool InferenceSlot::isBound(size_t profile, const std::vector<Tensor>& inputs) const {
  if (!bound_ || profile != profile_) return false;
  for (size_t i = 0; i < inputs_.size(); i++) {
    const PortBuffers& buffers = *inputs_[i];
    const Tensor& tensor = inputs[i];
    if (tensor.dims != buffers.dims || tensor.bytes != buffers.bytes) return false;
    if (!buffers.port.onHost || tensor.bytes == 0) continue;
    if (std::memcmp(buffers.onHost.data(), tensor.data, tensor.bytes) != 0) return false;
  }
  return true;
}

void InferenceSlot::bindInput(PortBuffers& buffers, const Tensor& tensor) {
  const Port& port = buffers.port;
  buffers.bytes = byteSize(port, tensor.dims);
  if (buffers.bytes != tensor.bytes)
    throw std::runtime_error(
        format("input '{}' has {} bytes, but its dims need {}", port.name, tensor.bytes, buffers.bytes));
  buffers.home().grow(buffers.bytes);
  if (port.onHost && buffers.bytes > 0) std::memcpy(buffers.onHost.data(), tensor.data, buffers.bytes);
  execution_->setDims(port.name, tensor.dims);
  execution_->setAddress(port.name, buffers.home().data());
  buffers.dims = tensor.dims;
}

void InferenceSlot::bindOutput(PortBuffers& buffers) {
  const Port& port = buffers.port;
  auto dims = execution_->dimsOf(port.name);
  buffers.dynamic = std::any_of(dims.begin(), dims.end(), [](int64_t dim) { return dim < 0; });
  execution_->setMemory(port.name, buffers.dynamic ? &buffers : nullptr);
  if (buffers.dynamic) {
    dynamic_ = true;
    return;
  }
  buffers.bytes = byteSize(port, dims);
  buffers.dims = std::move(dims);
  buffers.known = true;
  buffers.home().grow(buffers.bytes);
  buffers.onHost.grow(buffers.bytes);
  execution_->setAddress(port.name, buffers.home().data());
}

void InferenceSlot::upload(const std::vector<Tensor>& inputs, std::vector<Staging::Block>& blocks) {
  for (size_t i = 0; i < inputs_.size(); i++) {
    const PortBuffers& buffers = *inputs_[i];
    const Tensor& tensor = inputs[i];
    if (buffers.port.onHost || tensor.bytes == 0) continue;
    const void* source = tensor.block.data();
    if (source == nullptr) {
      blocks.push_back(staging_.take(tensor.bytes));
      std::memcpy(blocks.back().data(), tensor.data, tensor.bytes);
      source = blocks.back().data();
    }
    device_.upload(buffers.onDevice.data(), source, tensor.bytes, stream_);
  }
}

GpuTimes InferenceSlot::times() const {
  const auto between = [&](size_t from, size_t to) { return device_.elapsed(events_.at(from), events_.at(to)); };
  return {between(started, uploaded), between(uploaded, computed), between(computed, downloaded)};
}

void InferenceSlot::mark(size_t event) {
  if (!events_.empty()) device_.record(events_[event], stream_);
}

// What a graph would hide from the events is done around it.
void InferenceSlot::execute() {
  compute();
  if (events_.empty()) return;
  mark(computed);
  downloadAll();
  mark(downloaded);
}

void InferenceSlot::compute() {
  if (graph_ != nullptr) {
    device_.launch(graph_, stream_);
    return;
  }
  // TensorRT prepares lazily, so the first inference with new shapes is not captured.
  if (!graphs_ || dynamic_ || repeats_++ == 0 || !execution_->canCapture(stream_)) {
    enqueue();
    return;
  }
  capture();
  if (graph_ != nullptr) {
    device_.launch(graph_, stream_);
    return;
  }
  // Some engines cannot be captured, and only the attempt shows it. They run just as well without a graph.
  graphs_ = false;
  enqueue();
}

void InferenceSlot::capture() {
  device_.beginCapture(stream_);
  bool complete = true;
  try {
    enqueue();
  } catch (const std::exception&) {
    complete = false;
  }
  // Always end it: a stream that keeps capturing can do nothing else.
  try {
    graph_ = device_.endCapture(stream_);
  } catch (const std::exception&) {
    graph_ = nullptr;
  }
  if (!complete) dropGraph();
}

void InferenceSlot::enqueue() {
  for (const auto& buffers : outputs_) buffers->known = !buffers->dynamic;
  execution_->enqueue(stream_);
  if (events_.empty()) downloadAll();
}

void InferenceSlot::downloadAll() {
  for (const auto& buffers : outputs_) download(*buffers);
}

void InferenceSlot::download(PortBuffers& buffers) {
  const Port& port = buffers.port;
  if (buffers.dynamic) {
    if (!buffers.known) throw std::runtime_error(format("TensorRT did not report the dims of '{}'", port.name));
    buffers.bytes = byteSize(port, buffers.dims);
    if (buffers.bytes > buffers.home().capacity())
      throw std::runtime_error(
          format("TensorRT reported dims of '{}' that need more memory than it asked for", port.name));
    if (!port.onHost) buffers.onHost.grow(buffers.bytes);
  }
  if (!port.onHost && buffers.bytes > 0)
    device_.download(buffers.onHost.data(), buffers.onDevice.data(), buffers.bytes, stream_);
}

std::vector<Tensor> InferenceSlot::collect(const std::vector<Target>& targets) const {
  std::vector<Tensor> outputs;
  for (const auto& buffers : outputs_) {
    const Target target = outputs.size() < targets.size() ? targets[outputs.size()] : Target{};
    Tensor output;
    void* destination = target.data;
    if (destination == nullptr || target.bytes != buffers->bytes) {
      output.own.reset(new uint8_t[buffers->bytes]);
      destination = output.own.get();
    }
    if (buffers->bytes > 0) std::memcpy(destination, buffers->onHost.data(), buffers->bytes);
    output.data = destination;
    output.bytes = buffers->bytes;
    output.dims = buffers->dims;
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void InferenceSlot::unbind() {
  dropGraph();
  repeats_ = 0;
  bound_ = false;
}

void InferenceSlot::dropGraph() {
  if (graph_ != nullptr) device_.destroyGraph(graph_);
  graph_ = nullptr;
}

}  // namespace onnx_engine::tensorrt
