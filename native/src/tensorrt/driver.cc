#include "driver.h"

#include "../format.h"

#include <mutex>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

#ifdef _WIN32
constexpr const char* driverLibrary = "nvcuda.dll";
#else
constexpr const char* driverLibrary = "libcuda.so.1";
#endif

SharedLibrary openLibrary() {
  try {
    return SharedLibrary(driverLibrary);
  } catch (const std::runtime_error&) {
    throw std::runtime_error(format("no NVIDIA driver found ({})", driverLibrary));
  }
}

// Two steps: the first expands a macro of cuda.h to the name of the versioned function.
#define STRING_OF(name) #name
#define SYMBOL_OF(name) STRING_OF(name)

}  // namespace

const Driver& Driver::open() {
  static std::mutex mutex;
  static const Driver* driver = nullptr;
  const std::lock_guard<std::mutex> lock(mutex);
  // A failure is not remembered: after an update the driver may be there again.
  if (driver == nullptr) driver = new Driver();
  return *driver;
}

Driver::Driver() : library_(openLibrary()) {
  std::string missing;
#define X(name)                                                            \
  name = reinterpret_cast<decltype(name)>(library_.find(SYMBOL_OF(name))); \
  if (name == nullptr) missing += missing.empty() ? SYMBOL_OF(name) : ", " SYMBOL_OF(name);
  ONNX_ENGINE_CUDA_FUNCTIONS(X)
#undef X
  eventElapsedTime = reinterpret_cast<decltype(eventElapsedTime)>(library_.find("cuEventElapsedTime"));
  if (eventElapsedTime == nullptr) missing += missing.empty() ? "cuEventElapsedTime" : ", cuEventElapsedTime";
  if (!missing.empty())
    throw std::runtime_error(format("the NVIDIA driver is too old: {} lacks {}", driverLibrary, missing));
  check(cuDriverGetVersion(&cudaVersion_), "cuDriverGetVersion");
  check(cuInit(0), "cuInit");
}

void Driver::check(CUresult result, const char* call) const {
  if (result == CUDA_SUCCESS) return;
  const char* text = nullptr;
  cuGetErrorString(result, &text);
  throw std::runtime_error(
      format("{}: {}", call, text == nullptr ? format("CUDA error {}", static_cast<int>(result)) : text));
}

}  // namespace onnx_engine::tensorrt
