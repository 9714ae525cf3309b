#include "../exit_function.h"
#include "../js_values.h"
#include "../promise_worker.h"
#include "builder.h"
#include "engine_object.h"
#include "probe.h"

// The functions that JavaScript calls; ../../addon.ts declares them.
namespace onnx_engine::openvino {

namespace {

Properties toProperties(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  Properties properties;
  for (const auto& key : js::toTexts(object.GetPropertyNames()))
    properties.emplace_back(key, js::toText(object, key.c_str()));
  return properties;
}

// version(library): Promise<string>
Napi::Value libraryVersion(const Napi::CallbackInfo& info) {
  const std::string path = js::toText(info[0]);
  return PromiseWorker<std::string>::run(
      info.Env(), [path] { return Library::open(path).version(); },
      [](Napi::Env env, const std::string& version) { return Napi::String::New(env, version); });
}

// probe(library): Promise<{ version, devices }>
Napi::Value probeLibrary(const Napi::CallbackInfo& info) {
  struct Result {
    std::string version;
    std::vector<Device> devices;
  };
  const std::string path = js::toText(info[0]);
  return PromiseWorker<Result>::run(
      info.Env(),
      [path] {
        const Library& library = Library::open(path);
        return Result{library.version(), probe(library)};
      },
      [](Napi::Env env, const Result& found) {
        auto result = Napi::Object::New(env);
        result.Set("version", found.version);
        result.Set("devices", js::fromList(env, found.devices, [env](const Device& device) {
                     auto object = Napi::Object::New(env);
                     object.Set("name", device.name);
                     object.Set("fullName", device.fullName);
                     object.Set("capabilities", device.capabilities);
                     object.Set("runtimeRequirements", device.runtimeRequirements);
                     return object;
                   }));
        return result;
      });
}

// build(library, settings): Promise<void>
Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  const std::string path = js::toText(info[0]);
  const auto object = info[1].As<Napi::Object>();
  BuildSettings settings{js::toText(object, "model"),
                         js::toText(object, "output"),
                         js::toText(object, "device"),
                         toProperties(object.Get("properties")),
                         {}};
  const auto shapes = object.Get("shapes").As<Napi::Object>();
  for (const auto& input : js::toTexts(shapes.GetPropertyNames())) {
    const auto bounds = shapes.Get(input).As<Napi::Object>();
    const auto min = js::toDims(bounds.Get("min"));
    const auto max = js::toDims(bounds.Get("max"));
    std::vector<ov_dimension_t> dims(min.size());
    for (size_t i = 0; i < dims.size(); i++) dims[i] = {min[i], max.at(i)};
    settings.shapes.push_back({input, std::move(dims)});
  }
  return PromiseWorker<bool>::run(
      info.Env(),
      [path, settings] {
        build(Library::open(path), settings);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// load(library, bytes, settings): Promise<OpenVinoEngine>
Napi::Value loadEngine(const Napi::CallbackInfo& info) {
  const std::string path = js::toText(info[0]);
  auto bytes = info[1].As<Napi::Uint8Array>();
  const auto object = info[2].As<Napi::Object>();
  const LoadSettings settings{js::toText(object, "device"), toProperties(object.Get("properties")),
                              js::toTexts(object.Get("inputs")), js::toTexts(object.Get("outputs"))};
  const void* data = bytes.Data();
  const size_t size = bytes.ByteLength();
  const auto blob = std::make_shared<Napi::ObjectReference>(Napi::Persistent(bytes.As<Napi::Object>()));
  return PromiseWorker<std::unique_ptr<Engine>>::run(
      info.Env(),
      [path, data, size, settings] { return std::make_unique<Engine>(Library::open(path), data, size, settings); },
      [blob](Napi::Env env, std::unique_ptr<Engine> engine) {
        return EngineObject::create(env, std::move(engine), std::move(*blob));
      });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  EngineObject::define(env);
  exports.Set("version", Napi::Function::New<libraryVersion>(env));
  exports.Set("probe", Napi::Function::New<probeLibrary>(env));
  exports.Set("build", Napi::Function::New<buildEngine>(env));
  exports.Set("load", Napi::Function::New<loadEngine>(env));
  exports.Set("exit", Napi::Function::New<exitFunction>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(openvino, initialize)

}  // namespace onnx_engine::openvino
