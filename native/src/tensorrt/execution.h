#pragma once

#include "gpu.h"
#include "logger.h"

#include <NvInferRuntime.h>

namespace onnx_engine::tensorrt {

// An execution context of TensorRT. `fixed`: no input has an open dim or value. The logger must outlive it.
std::unique_ptr<Execution> wrapContext(std::unique_ptr<nvinfer1::IExecutionContext> context, bool fixed,
                                       Logger& logger);

}  // namespace onnx_engine::tensorrt
