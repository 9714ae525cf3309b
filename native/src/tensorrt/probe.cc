#include "probe.h"

#include "../format.h"
#include "driver.h"

#include <nvml.h>

#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

int attribute(const Driver& driver, CUdevice_attribute name, CUdevice device) {
  int value = 0;
  driver.check(driver.cuDeviceGetAttribute(&value, name, device), "cuDeviceGetAttribute");
  return value;
}

Gpu describe(const Driver& driver, int index) {
  CUdevice device{};
  driver.check(driver.cuDeviceGet(&device, index), "cuDeviceGet");
  char name[256] = {};
  driver.check(driver.cuDeviceGetName(name, sizeof(name) - 1, device), "cuDeviceGetName");
  size_t memory = 0;
  driver.check(driver.cuDeviceTotalMem(&memory, device), "cuDeviceTotalMem");
  const int major = attribute(driver, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
  const int minor = attribute(driver, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
  return {name,
          format("sm{}{}", major, minor),
          attribute(driver, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device),
          attribute(driver, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device),
          attribute(driver, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, device),
          static_cast<int64_t>(memory)};
}

#ifdef _WIN32
constexpr const char* managementLibrary = "nvml.dll";
#else
constexpr const char* managementLibrary = "libnvidia-ml.so.1";
#endif

// Only NVML knows the driver's own version. Without NVML, as in some containers, it stays unknown.
std::string driverVersion() {
  try {
    const SharedLibrary library(managementLibrary);
    const auto start = reinterpret_cast<decltype(&nvmlInit_v2)>(library.find("nvmlInit_v2"));
    const auto ask =
        reinterpret_cast<decltype(&nvmlSystemGetDriverVersion)>(library.find("nvmlSystemGetDriverVersion"));
    const auto stop = reinterpret_cast<decltype(&nvmlShutdown)>(library.find("nvmlShutdown"));
    if (start == nullptr || ask == nullptr || stop == nullptr || start() != NVML_SUCCESS) return "";
    char version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = {};
    const bool known = ask(version, sizeof(version)) == NVML_SUCCESS;
    stop();
    return known ? version : "";
  } catch (const std::runtime_error&) {
    return "";
  }
}

}  // namespace

GpuProbe probeGpus() {
  GpuProbe probe;
  try {
    const Driver& driver = Driver::open();
    probe.driver = driverVersion();
    probe.cuda = format("{}.{}", driver.cudaVersion() / 1000, driver.cudaVersion() % 1000 / 10);
    int count = 0;
    driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount");
    for (int i = 0; i < count; i++) probe.gpus.push_back(describe(driver, i));
    if (count == 0) probe.reason = "the NVIDIA driver finds no GPU";
  } catch (const std::runtime_error& error) {
    probe.gpus.clear();
    probe.reason = error.what();
  }
  return probe;
}

}  // namespace onnx_engine::tensorrt
