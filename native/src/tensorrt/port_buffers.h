#pragma once

#include "inference_slot.h"

namespace onnx_engine::tensorrt {

// The memory of one input or output in one execution context.
struct InferenceSlot::PortBuffers : OutputMemory {
  PortBuffers(Device& device, const Port& described) : port(described), onDevice(device, false), onHost(device, true) {}

  // The memory that TensorRT reads or writes.
  Memory& home() { return port.onHost ? onHost : onDevice; }

  void* reserve(size_t size) noexcept override {
    try {
      home().grow(size);
      return home().data();
    } catch (...) {
      return nullptr;
    }
  }

  void setDims(const std::vector<int64_t>& actual) noexcept override {
    dims = actual;
    known = true;
  }

  const Port& port;
  Memory onDevice;
  // Outputs are downloaded to it. For a port on the host, TensorRT reads and writes the values here.
  Memory onHost;
  std::vector<int64_t> dims;
  size_t bytes = 0;
  // The inference itself decides the dims; `known` once it has.
  bool dynamic = false;
  bool known = false;
};

}  // namespace onnx_engine::tensorrt
