// The settings that TensorRT gets before it reads a plan, on a double of its library that logs them and refuses every
// plan. Runs without TensorRT or a GPU.
#include "plan.h"

#include "../library.h"

#include <NvInfer.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

namespace onnx_engine {
namespace {

using namespace nvinfer1;

class RuntimeDouble : public IRuntime, private apiv::VRuntime {
 public:
  explicit RuntimeDouble(ILogger& logger) : logger_(logger) { mImpl = this; }

 private:
  void setEngineHostCodeAllowed(bool allowed) noexcept override { hostCode_ = allowed; }
  bool getEngineHostCodeAllowed() const noexcept override { return hostCode_; }
  ICudaEngine* deserializeCudaEngine(const void*, size_t) noexcept override {
    logger_.log(ILogger::Severity::kERROR, hostCode_ ? "host code is allowed" : "host code is not allowed");
    return nullptr;
  }

  IRuntime* getPImpl() noexcept override { return this; }
  ICudaEngine* deserializeCudaEngineV2(IStreamReaderV2&) noexcept override { return nullptr; }
  void setDLACore(int32_t) noexcept override {}
  int32_t getDLACore() const noexcept override { return 0; }
  int32_t getNbDLACores() const noexcept override { return 0; }
  void setGpuAllocator(IGpuAllocator*) noexcept override {}
  void setErrorRecorder(IErrorRecorder*) noexcept override {}
  IErrorRecorder* getErrorRecorder() const noexcept override { return nullptr; }
  ILogger* getLogger() const noexcept override { return &logger_; }
  bool setMaxThreads(int32_t) noexcept override { return false; }
  int32_t getMaxThreads() const noexcept override { return 1; }
  void setTemporaryDirectory(const char*) noexcept override {}
  const char* getTemporaryDirectory() const noexcept override { return ""; }
  void setTempfileControlFlags(TempfileControlFlags) noexcept override {}
  TempfileControlFlags getTempfileControlFlags() const noexcept override { return 0; }
  IPluginRegistry& getPluginRegistry() noexcept override { std::abort(); }
  void setPluginRegistryParent(IPluginRegistry*) noexcept override {}
  IRuntime* loadRuntime(const char*) noexcept override { return nullptr; }

  ILogger& logger_;
  bool hostCode_ = false;
};

int32_t major() { return NV_TENSORRT_MAJOR; }
int32_t minor() { return NV_TENSORRT_MINOR; }
int32_t zero() { return 0; }
int32_t countOne(int32_t* count) {
  *count = 1;
  return 0;
}
void* createBuilder(void*, int32_t) noexcept { return nullptr; }
void* createRuntime(void* logger, int32_t) noexcept {
  return static_cast<IRuntime*>(new RuntimeDouble(*static_cast<ILogger*>(logger)));
}

}  // namespace

SharedLibrary::SharedLibrary(const std::string&) : handle_(reinterpret_cast<void*>(createRuntime)) {}

void* SharedLibrary::find(const char* symbol) const {
  const std::string name = symbol;
  if (name == "createInferBuilder_INTERNAL") return reinterpret_cast<void*>(createBuilder);
  if (name == "createInferRuntime_INTERNAL") return handle_;
  // Of the driver, which finds one GPU.
  if (name == "cuDeviceGetCount") return reinterpret_cast<void*>(countOne);
  if (name == "getInferLibMajorVersion") return reinterpret_cast<void*>(major);
  return reinterpret_cast<void*>(name == "getInferLibMinorVersion" ? minor : zero);
}

namespace tensorrt {
namespace {

std::string refusal(bool hostCode) {
  PlanSettings settings;
  settings.hostCode = hostCode;
  try {
    deserialize("double", {"plan", 4}, settings);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(Plan, MayRunHostCodeOnlyWhenTheCallerAllowsIt) {
  EXPECT_EQ(refusal(false), "host code is not allowed");
  EXPECT_EQ(refusal(true), "host code is allowed");
  EXPECT_EQ(refusal(false), "host code is not allowed");
}

}  // namespace
}  // namespace tensorrt
}  // namespace onnx_engine
