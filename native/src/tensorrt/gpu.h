#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace onnx_engine::tensorrt {

// The GPU and the deserialized engine as the rest of the runtime sees them: all that it does to a GPU passes through
// here. cuda.cc, plan.cc and execution.cc implement it for real; a double in host memory, which only the test binary
// has, stands in where there is no GPU. Every function throws std::runtime_error with the text of CUDA or TensorRT.

using Stream = void*;
using Graph = void*;

class Device {
 public:
  virtual ~Device() = default;

  // Makes the device current on this thread, which every thread does before it calls anything else.
  virtual void enter() = 0;

  // Aligned to 256 bytes at least, as TensorRT demands of every address; so is pinned memory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
  // Host memory that copies read and write without a detour.
  virtual void* allocatePinned(size_t bytes) = 0;
  virtual void freePinned(void* memory) noexcept = 0;

  virtual Stream createStream() = 0;
  virtual void destroyStream(Stream stream) noexcept = 0;
  virtual void upload(void* device, const void* host, size_t bytes, Stream stream) = 0;
  virtual void download(void* host, const void* device, size_t bytes, Stream stream) = 0;
  virtual void synchronize(Stream stream) = 0;

  // What is put into the stream between the two becomes a graph instead of being run.
  virtual void beginCapture(Stream stream) = 0;
  virtual Graph endCapture(Stream stream) = 0;
  virtual void launch(Graph graph, Stream stream) = 0;
  virtual void destroyGraph(Graph graph) noexcept = 0;
};

// An input or output of an engine.
struct Port {
  std::string name;
  std::string dtype;  // by the name that JavaScript knows it by
  size_t bytes = 0;   // of one element
  bool input = false;
  // Read and written in host memory, as the values of shape tensors are, which decide the dims of others.
  bool onHost = false;
  std::vector<int64_t> dims;  // -1 where they are open
};

// Bounds of the inputs in one optimization profile, inclusive, in the order of the ports.
struct Bounds {
  std::vector<std::vector<int64_t>> min;
  std::vector<std::vector<int64_t>> max;
  // Of the values of shape tensors; empty for other inputs.
  std::vector<std::vector<int64_t>> minValues;
  std::vector<std::vector<int64_t>> maxValues;
};

// Gives memory for an output whose size only the run tells. Called while `enqueue` runs, on its thread.
class OutputMemory {
 public:
  virtual ~OutputMemory() = default;
  // Null when there is none.
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
  // After all inputs have their dims, and those on the host their values.
  virtual void inferDims() = 0;
  // After `inferDims`; -1 for those that only the run tells.
  virtual std::vector<int64_t> dimsOf(const std::string& output) = 0;
  // Whether the next `enqueue` may be captured, and its graph replayed for as long as dims, values on the host and
  // addresses stay.
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
  // Kernels that were compiled for this GPU since it was loaded, to be given to the next load; empty where there is no
  // such thing.
  virtual std::vector<char> runtimeCache() = 0;
};

}  // namespace onnx_engine::tensorrt
