#pragma once

#include "build_settings.h"
#include "library.h"
#include "plan.h"

namespace onnx_engine::tensorrt::flavour {

// Everything that differs between TensorRT and TensorRT-RTX. CMake compiles one implementation into each addon:
// flavour_enterprise.cc or flavour_rtx.cc.

extern const char* const product;  // for messages

// The versions that this addon is for, for messages: "10" or "1.7".
std::string knownVersions();

// Whether this addon can call a library of that version.
bool hasKnownAbi(const Version& version);

// Throws std::runtime_error without a GPU when the product needs one, before any call that would need it: TensorRT 10.6
// ends the process when it finds no driver.
void requireGpu();

// The settings that only one of the two has. Throws std::runtime_error for those of the other one.
void configure(nvinfer1::IBuilderConfig& config, const BuildSettings& settings);

// Kernel timings of earlier builds, in a file that the caller has locked.
class TimingCache {
 public:
  virtual ~TimingCache() = default;
  virtual void save() const = 0;
};

// Null without a path, and for TensorRT-RTX: there, creating a timing cache needs a GPU.
std::unique_ptr<TimingCache> openTimingCache(nvinfer1::IBuilderConfig& config, const std::string& path);

// What happens before an engine is deserialized: the permission to run host code, or a check of the engine's header.
void prepare(nvinfer1::IRuntime& runtime, const PlanBytes& plan, const PlanSettings& settings, Logger& logger);

// Creates the execution contexts of one engine. `fixed`: no input has an open dim or value.
class Contexts {
 public:
  virtual ~Contexts() = default;
  // Null on failure; the logger has the reason.
  virtual std::unique_ptr<nvinfer1::IExecutionContext> create() = 0;
  virtual std::vector<char> runtimeCache() const = 0;
};

std::unique_ptr<Contexts> contextsOf(nvinfer1::ICudaEngine& engine, bool fixed, const PlanSettings& settings,
                                     Logger& logger);

// See Execution::canCapture.
bool canCapture(nvinfer1::IExecutionContext& context, bool fixed, Stream stream);

}  // namespace onnx_engine::tensorrt::flavour
