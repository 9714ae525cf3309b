#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace onnx_engine::tensorrt {

// The properties of a GPU that keys and requirements use. Sizes in bytes, the bus width in bits.
struct Gpu {
  std::string name;               // "NVIDIA GeForce RTX 4090"
  std::string computeCapability;  // "sm89"
  int multiprocessors = 0;
  int64_t l2Bytes = 0;
  int memoryBusBits = 0;
  int64_t memoryBytes = 0;
};

struct GpuProbe {
  std::string reason;  // why there are no GPUs; empty when there are some
  std::string driver;  // "580.95.05", from NVML; empty without NVML
  std::string cuda;    // "13.0", the newest CUDA that the driver supports
  std::vector<Gpu> gpus;
};

// Asks the CUDA driver and NVML. Does not throw on a machine without a GPU. Blocks: the first call of a process starts
// the driver.
GpuProbe probeGpus();

}  // namespace onnx_engine::tensorrt
