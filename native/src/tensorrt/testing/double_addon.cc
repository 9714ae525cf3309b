// An engine on the double of the GPU, in JavaScript: for tests in Node, never packed.
#include "../../exit_function.h"
#include "../../js_values.h"
#include "../engine_object.h"
#include "host_double.h"

namespace onnx_engine::tensorrt {

namespace {

struct Devices {
  std::mutex mutex;
  std::vector<std::weak_ptr<HostDevice>> all;
};

// Shared by all environments: workers load the same double.
Devices& devices() {
  static auto* all = new Devices();
  return *all;
}

Model modelOf(const std::string& name) {
  if (name == "fixed") return Model::fixed;
  if (name == "positive") return Model::positive;
  return name == "repeat" ? Model::repeat : Model::addOne;
}

// load(model, contexts, cudaGraph, slowMilliseconds, timed): TensorRtEngine
Napi::Value load(const Napi::CallbackInfo& info) {
  const auto device = std::make_shared<HostDevice>();
  device->faults.slowMilliseconds = info[3].As<Napi::Number>().Int32Value();
  const EngineSettings settings{info[1].As<Napi::Number>().Uint32Value(), info[2].As<Napi::Boolean>().Value(),
                                info[4].ToBoolean().Value()};
  const std::lock_guard<std::mutex> lock(devices().mutex);
  devices().all.push_back(device);
  return EngineObject::create(
      info.Env(),
      std::make_shared<Engine>(device, std::make_unique<HostPlan>(*device, modelOf(js::toText(info[0]))), settings));
}

// loseDevices(): every later call to a GPU fails.
void loseDevices(const Napi::CallbackInfo&) {
  const std::lock_guard<std::mutex> lock(devices().mutex);
  for (const auto& weak : devices().all) {
    if (const auto device = weak.lock()) device->faults.lost = true;
  }
}

// devicesInUse(): how many devices an engine still holds.
Napi::Value devicesInUse(const Napi::CallbackInfo& info) {
  const std::lock_guard<std::mutex> lock(devices().mutex);
  const auto& all = devices().all;
  return Napi::Number::New(
      info.Env(),
      static_cast<double>(std::count_if(all.begin(), all.end(), [](const auto& device) { return !device.expired(); })));
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  EngineObject::define(env);
  exports.Set("load", Napi::Function::New<load>(env));
  exports.Set("loseDevices", Napi::Function::New<loseDevices>(env));
  exports.Set("exit", Napi::Function::New<exitFunction>(env));
  exports.Set("devicesInUse", Napi::Function::New<devicesInUse>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(tensorrt_double, initialize)

}  // namespace onnx_engine::tensorrt
