#include "session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace onnx_engine::onnxruntime {

namespace {

std::vector<const char*> namesOf(const std::vector<Port>& ports) {
  std::vector<const char*> names;
  for (const auto& port : ports) names.push_back(port.name.c_str());
  return names;
}

Handle<OrtSessionOptions> sessionOptions(const Library& library, bool inPlace, const SessionSettings& settings) {
  const OrtApi& api = library.api();
  OrtSessionOptions* raw = nullptr;
  library.check(api.CreateSessionOptions(&raw));
  Handle<OrtSessionOptions> options(raw, api.ReleaseSessionOptions);
  library.check(api.SetSessionLogSeverityLevel(raw, ORT_LOGGING_LEVEL_FATAL));
  if (settings.threads > 0) library.check(api.SetIntraOpNumThreads(raw, settings.threads));
  library.check(api.SetSessionGraphOptimizationLevel(raw, inPlace ? ORT_DISABLE_ALL : ORT_ENABLE_ALL));
  if (settings.weights != nullptr) {
    const std::basic_string<ORTCHAR_T> file(settings.weightsName.begin(), settings.weightsName.end());
    const ORTCHAR_T* name = file.c_str();
    auto* data = static_cast<char*>(settings.weights);
    library.check(api.AddExternalInitializersFromFilesInMemory(raw, &name, &data, &settings.weightsBytes, 1));
  }
  if (!inPlace) return options;
  library.check(api.AddSessionConfigEntry(raw, "session.load_model_format", "ORT"));
  library.check(api.AddSessionConfigEntry(raw, "session.use_ort_model_bytes_directly", "1"));
  library.check(api.AddSessionConfigEntry(raw, "session.use_ort_model_bytes_for_initializers", "1"));
  return options;
}

}  // namespace

Session::Session(const Library& library, const void* bytes, size_t size, const SessionSettings& settings)
    : library_(library) {
  const auto options = sessionOptions(library, usesBytes(bytes, size), settings);
  OrtSession* raw = nullptr;
  library.check(library.api().CreateSessionFromArray(library.environment(), bytes, size, options.get(), &raw));
  session_ = {raw, library.api().ReleaseSession};
  inputs_ = describe(settings.inputs, true);
  outputs_ = describe(settings.outputs, false);
  inputNames_ = namesOf(inputs_);
  outputNames_ = namesOf(outputs_);
}

// FlatBuffers keep their file identifier behind the first offset (onnxruntime/core/flatbuffers/schema/ort.fbs).
bool Session::usesBytes(const void* bytes, size_t size) {
  return size >= 8 && std::memcmp(static_cast<const char*>(bytes) + 4, "ORTM", 4) == 0;
}

std::vector<Port> Session::describe(const std::vector<std::string>& names, bool input) const {
  const OrtApi& api = library_.api();
  const auto count = input ? api.SessionGetInputCount : api.SessionGetOutputCount;
  const auto nameAt = input ? api.SessionGetInputName : api.SessionGetOutputName;
  const auto typeAt = input ? api.SessionGetInputTypeInfo : api.SessionGetOutputTypeInfo;
  const std::string kind = input ? "input" : "output";
  size_t total = 0;
  library_.check(count(session_.get(), &total));
  std::vector<Port> ports(names.size(), Port{"", nullptr});
  for (size_t index = 0; index < total; index++) {
    char* text = nullptr;
    library_.check(nameAt(session_.get(), index, library_.allocator(), &text));
    const std::string name = text;
    library_.check(api.AllocatorFree(library_.allocator(), text));
    OrtTypeInfo* rawType = nullptr;
    library_.check(typeAt(session_.get(), index, &rawType));
    const Handle<OrtTypeInfo> type(rawType, api.ReleaseTypeInfo);
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    library_.check(api.CastTypeInfoToTensorInfo(rawType, &tensor));
    if (tensor == nullptr) throw std::runtime_error("the engine's " + kind + " '" + name + "' is no tensor");
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    library_.check(api.GetTensorElementType(tensor, &element));
    for (size_t i = 0; i < names.size(); i++) {
      if (names[i] == name) ports[i] = {name, &elementType(element)};
    }
  }
  for (size_t i = 0; i < names.size(); i++) {
    if (ports[i].type == nullptr) throw std::runtime_error("the engine has no " + kind + " '" + names[i] + "'");
  }
  return ports;
}

Handle<OrtRunOptions> Session::runOptions() const {
  OrtRunOptions* raw = nullptr;
  library_.check(library_.api().CreateRunOptions(&raw));
  Handle<OrtRunOptions> options(raw, library_.api().ReleaseRunOptions);
  library_.check(library_.api().RunOptionsSetRunLogSeverityLevel(raw, ORT_LOGGING_LEVEL_FATAL));
  return options;
}

std::vector<Output> Session::run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets,
                                 const OrtRunOptions* options) const {
  if (inputs.size() != inputs_.size() || targets.size() != outputs_.size())
    throw std::runtime_error("expected " + std::to_string(inputs_.size()) + " inputs");
  std::vector<Handle<OrtValue>> values;
  std::vector<const OrtValue*> pointers;
  for (size_t i = 0; i < inputs.size(); i++) {
    values.push_back(toValue(library_, *inputs_[i].type, inputs[i]));
    pointers.push_back(values.back().get());
  }
  std::vector<Handle<OrtValue>> fixed;
  for (size_t i = 0; i < targets.size(); i++) {
    fixed.emplace_back(nullptr, library_.api().ReleaseValue);
    if (targets[i].data != nullptr) fixed[i] = toValue(library_, *outputs_[i].type, targets[i]);
  }

  std::vector<OrtValue*> results;
  try {
    results = runRaw(pointers, fixed, options);
  } catch (const std::runtime_error&) {
    // The targets may be of the wrong size: the declared dims of a model may be wrong, and dims may depend on values.
    // ONNX Runtime notices before it writes; its text differs from release to release. A run that failed for another
    // reason, or was stopped, fails again.
    const bool anyTarget = std::any_of(fixed.begin(), fixed.end(), [](const auto& value) { return value != nullptr; });
    if (!anyTarget) throw;
    for (auto& value : fixed) value.reset();
    results = runRaw(pointers, fixed, options);
  }
  // Owned before anything can throw. A target already is.
  std::vector<Handle<OrtValue>> owned;
  owned.reserve(results.size());
  for (size_t i = 0; i < results.size(); i++)
    owned.emplace_back(fixed[i] == nullptr ? results[i] : nullptr, library_.api().ReleaseValue);
  std::vector<Output> outputs(results.size());
  for (size_t i = 0; i < owned.size(); i++) {
    outputs[i].inTarget = fixed[i] != nullptr;
    if (!outputs[i].inTarget) outputs[i] = fromValue(library_, *outputs_[i].type, std::move(owned[i]));
  }
  return outputs;
}

// Gives a pointer for each output: that of its target, or one that the caller frees.
std::vector<OrtValue*> Session::runRaw(const std::vector<const OrtValue*>& inputs,
                                       const std::vector<Handle<OrtValue>>& targets,
                                       const OrtRunOptions* options) const {
  std::vector<OrtValue*> results;
  for (const auto& target : targets) results.push_back(target.get());
  library_.check(library_.api().Run(session_.get(), options, inputNames_.data(), inputs.data(), inputs.size(),
                                    outputNames_.data(), outputNames_.size(), results.data()));
  return results;
}

}  // namespace onnx_engine::onnxruntime
