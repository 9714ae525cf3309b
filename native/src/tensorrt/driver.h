#pragma once

#include "../library.h"

#include <cuda.h>

#include <string>

namespace onnx_engine::tensorrt {

// Every function of the CUDA driver that we call. The driver is the only part of CUDA that a user's machine needs, and
// its C ABI only grows. Some names are macros of cuda.h, which expand to a version of the function: cuMemAlloc_v2.
#define ONNX_ENGINE_CUDA_FUNCTIONS(X) \
  X(cuInit)                           \
  X(cuDriverGetVersion)               \
  X(cuGetErrorString)                 \
  X(cuDeviceGetCount)                 \
  X(cuDeviceGet)                      \
  X(cuDeviceGetName)                  \
  X(cuDeviceGetAttribute)             \
  X(cuDeviceTotalMem)                 \
  X(cuDevicePrimaryCtxRetain)         \
  X(cuDevicePrimaryCtxRelease)        \
  X(cuCtxSetCurrent)                  \
  X(cuMemAlloc)                       \
  X(cuMemFree)                        \
  X(cuMemAllocHost)                   \
  X(cuMemFreeHost)                    \
  X(cuMemcpyHtoDAsync)                \
  X(cuMemcpyDtoHAsync)                \
  X(cuStreamCreate)                   \
  X(cuStreamDestroy)                  \
  X(cuStreamSynchronize)              \
  X(cuStreamBeginCapture)             \
  X(cuStreamEndCapture)               \
  X(cuGraphInstantiateWithFlags)      \
  X(cuGraphLaunch)                    \
  X(cuGraphExecDestroy)               \
  X(cuGraphDestroy)                   \
  X(cuEventCreate)                    \
  X(cuEventDestroy)                   \
  X(cuEventRecord)

struct CudaFunctions {
#define X(name) decltype(&::name) name = nullptr;
  ONNX_ENGINE_CUDA_FUNCTIONS(X)
#undef X
  // Not the macro of cuda.h: drivers before CUDA 12.8 lack what it expands to.
  CUresult(CUDAAPI* eventElapsedTime)(float*, CUevent, CUevent) = nullptr;
};

// The NVIDIA driver of this machine, opened by its system name. Any thread.
class Driver : public CudaFunctions {
 public:
  // Throws std::runtime_error, with a message for users, when there is no driver, it is too old, or it finds no GPU.
  static const Driver& open();

  // The newest CUDA version that the driver supports: 13000 for 13.0.
  int cudaVersion() const { return cudaVersion_; }

  // Throws std::runtime_error with the name of the call and CUDA's own text.
  void check(CUresult result, const char* call) const;

 private:
  Driver();

  SharedLibrary library_;
  int cudaVersion_ = 0;
};

}  // namespace onnx_engine::tensorrt
