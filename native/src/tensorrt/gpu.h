#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace onnx_engine::tensorrt {

// The GPU and the deserialized engine as the rest of the runtime sees them: every use of a GPU goes through these
// interfaces. cuda_device.cc, plan.cc and execution.cc implement them for real; testing/ has a double in host memory,
// for machines without a GPU. Every function throws std::runtime_error with the text of CUDA or TensorRT.

using Stream = void*;
using Graph = void*;
using Event = void*;

class Device {
 public:
  virtual ~Device() = default;

  // Makes the device current on this thread. Every thread calls it before anything else.
  virtual void enter() = 0;

  // Aligned to at least 256 bytes, as TensorRT demands; so is pinned memory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
  // Host memory that the GPU reads and writes directly.
  virtual void* allocatePinned(size_t bytes) = 0;
  virtual void freePinned(void* memory) noexcept = 0;

  virtual Stream createStream() = 0;
  virtual void destroyStream(Stream stream) noexcept = 0;
  virtual void upload(void* device, const void* host, size_t bytes, Stream stream) = 0;
  virtual void download(void* host, const void* device, size_t bytes, Stream stream) = 0;
  virtual void synchronize(Stream stream) = 0;

  // Work that enters the stream between the two becomes a graph instead of being run.
  virtual void beginCapture(Stream stream) = 0;
  virtual Graph endCapture(Stream stream) = 0;
  virtual void launch(Graph graph, Stream stream) = 0;
  virtual void destroyGraph(Graph graph) noexcept = 0;

  virtual Event createEvent() = 0;
  virtual void destroyEvent(Event event) noexcept = 0;
  virtual void record(Event event, Stream stream) = 0;
  // Milliseconds from one event to another. Both were recorded, and their stream was waited for since.
  virtual float elapsed(Event from, Event to) = 0;
};

// An input or output of an engine.
struct Port {
  std::string name;
  std::string dtype;  // its name in JavaScript
  size_t bytes = 0;   // size of one element
  bool input = false;
  // In host memory, as shape tensors are: their values decide the dims of other tensors.
  bool onHost = false;
  std::vector<int64_t> dims;  // -1 for an open dim
};

// Bounds of the inputs in one optimization profile, inclusive, in the order of the ports.
struct Bounds {
  std::vector<std::vector<int64_t>> min;
  std::vector<std::vector<int64_t>> max;
  // Bounds of the values of shape tensors; empty for other inputs.
  std::vector<std::vector<int64_t>> minValues;
  std::vector<std::vector<int64_t>> maxValues;
};

// Provides memory for an output whose size only the inference decides. Called during `enqueue`, on its thread.
class OutputMemory {
 public:
  virtual ~OutputMemory() = default;
  // Null when memory has run out.
  virtual void* reserve(size_t bytes) noexcept = 0;
  virtual void setDims(const std::vector<int64_t>& dims) noexcept = 0;
};

// One execution context: one inference at a time.
class Execution {
 public:
  virtual ~Execution() = default;
  virtual void setProfile(size_t profile, Stream stream) = 0;
  virtual void setDims(const std::string& input, const std::vector<int64_t>& dims) = 0;
  // Values in host memory are read by `inferDims` and `enqueue`, not here.
  virtual void setAddress(const std::string& port, void* memory) = 0;
  virtual void setMemory(const std::string& output, OutputMemory* memory) = 0;
  // Call it after all inputs have their dims, and inputs on the host their values.
  virtual void inferDims() = 0;
  // Valid after `inferDims`; -1 for a dim that only the inference decides.
  virtual std::vector<int64_t> dimsOf(const std::string& output) = 0;
  // Whether the next `enqueue` may be captured, and the graph replayed as long as dims, values on the host and
  // addresses stay the same.
  virtual bool canCapture(Stream stream) = 0;
  virtual void enqueue(Stream stream) = 0;
};

class Plan {
 public:
  virtual ~Plan() = default;
  virtual const std::vector<Port>& ports() const = 0;
  // At least one. The bounds of fixed inputs are their dims.
  virtual const std::vector<Bounds>& profiles() const = 0;
  virtual std::unique_ptr<Execution> createExecution() = 0;
  // The kernels that were compiled for this GPU, to pass to the next load; empty without a just-in-time compiler.
  virtual std::vector<char> runtimeCache() = 0;
};

}  // namespace onnx_engine::tensorrt
