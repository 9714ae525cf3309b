#pragma once

#include "library.h"

namespace onnx_engine::openvino {

// A device of this machine, to compile for and to run on.
struct Device {
  std::string name;          // "CPU", "GPU.0", "NPU"
  std::string fullName;      // "Intel(R) Xeon(R) Processor"
  std::string capabilities;  // "BF16 FP32 INT8 EXPORT_IMPORT"
  // What a blob of this device requires of the machine that imports it, such as
  // "meta=1.0;ov=2026.4.1;isa=Intel AVX 10.1"; empty when the device reports none.
  std::string runtimeRequirements;
};

// Blocks for tens of milliseconds: not for the JavaScript thread.
std::vector<Device> probe(const Library& library);

}  // namespace onnx_engine::openvino
