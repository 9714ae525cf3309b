#include "../exit_function.h"
#include "../js_values.h"
#include "../promise_worker.h"
#include "build_task.h"
#include "cuda_device.h"
#include "engine_object.h"
#include "plan.h"
#include "plugins.h"
#include "probe.h"

// The functions that JavaScript calls; ../../addon.ts declares them.
namespace onnx_engine::tensorrt {

namespace {

BuildSettings toBuildSettings(const Napi::Object& object) {
  BuildSettings settings;
  settings.parser = js::toText(object, "parser");
  settings.plugins = js::toText(object, "plugins");
  settings.model = js::toText(object, "model");
  settings.output = js::toText(object, "output");
  settings.computeCapabilities = js::toList<int>(object.Get("computeCapabilities"), [](const Napi::Value& value) {
    return value.As<Napi::Number>().Int32Value();
  });
  settings.fixed = js::toList<FixedInput>(object.Get("fixed"), [](const Napi::Value& value) {
    const auto input = value.As<Napi::Object>();
    return FixedInput{js::toText(input, "input"), js::toDims(input.Get("dims"))};
  });
  settings.profiles = js::toList<Profile>(object.Get("profiles"), [](const Napi::Value& profile) {
    return js::toList<ProfiledInput>(profile, [](const Napi::Value& value) {
      const auto input = value.As<Napi::Object>();
      const bool values = input.Get("values").As<Napi::Boolean>().Value();
      return ProfiledInput{js::toText(input, "input"), values, js::toDims(input.Get("min")),
                           js::toDims(input.Get("opt")), js::toDims(input.Get("max"))};
    });
  });
  settings.flags = js::toTexts(object.Get("flags"));
  settings.hardwareCompatibility = js::toText(object, "hardwareCompatibility");
  settings.profilingVerbosity = js::toText(object, "profilingVerbosity");
  settings.builderOptimizationLevel = js::toNumber<int>(object, "builderOptimizationLevel");
  settings.maxAuxStreams = js::toNumber<int>(object, "maxAuxStreams");
  settings.workspace = js::toNumber<uint64_t>(object, "workspace");
  settings.timingCache = js::toText(object, "timingCache");
  settings.verbose = object.Get("verbose").As<Napi::Boolean>().Value();
  return settings;
}

// build(library, settings, log): Promise<void>
Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  return BuildTask::run(info.Env(), js::toText(info[0]), toBuildSettings(info[1].As<Napi::Object>()),
                        info[2].As<Napi::Function>());
}

// load(library, bytes, settings): Promise<TensorRtEngine>
Napi::Value loadEngine(const Napi::CallbackInfo& info) {
  const std::string library = js::toText(info[0]);
  auto bytes = info[1].As<Napi::Uint8Array>();
  const auto object = info[2].As<Napi::Object>();
  const int device = object.Get("device").As<Napi::Number>().Int32Value();
  const EngineSettings settings{object.Get("contexts").As<Napi::Number>().Uint32Value(),
                                object.Get("cudaGraph").As<Napi::Boolean>().Value(),
                                object.Get("timed").As<Napi::Boolean>().Value()};
  auto cached = object.Get("runtimeCache").As<Napi::Uint8Array>();
  const PlanSettings planSettings{cached.Data(), cached.ByteLength(), settings.graphs,
                                  object.Get("hostCode").As<Napi::Boolean>().Value(), js::toText(object, "plugins")};
  const PlanBytes plan{bytes.Data(), bytes.ByteLength()};
  // TensorRT has read both completely once the engine exists.
  const auto both = Napi::Array::New(info.Env(), 2);
  both.Set(0u, bytes);
  both.Set(1u, cached);
  const auto keep = std::make_shared<Napi::Reference<Napi::Array>>(Napi::Persistent(both));
  return PromiseWorker<std::shared_ptr<Engine>>::run(
      info.Env(),
      [library, plan, device, settings, planSettings] {
        auto gpu = openDevice(device);
        gpu->enter();
        auto loaded = deserialize(library, plan, planSettings);
        return std::make_shared<Engine>(std::move(gpu), std::move(loaded), settings);
      },
      [keep](Napi::Env env, std::shared_ptr<Engine> engine) { return EngineObject::create(env, std::move(engine)); });
}

// versions(library, parser): Promise<{ version, parser }>
Napi::Value versions(const Napi::CallbackInfo& info) {
  const std::string library = js::toText(info[0]);
  const std::string parser = js::toText(info[1]);
  return PromiseWorker<Versions>::run(
      info.Env(), [library, parser] { return versionsOf(library, parser); },
      [](Napi::Env env, const Versions& found) {
        auto result = Napi::Object::New(env);
        result.Set("version", found.library);
        result.Set("parser", found.parser);
        return result;
      });
}

// plugins(library, plugins): Promise<void>
Napi::Value plugins(const Napi::CallbackInfo& info) {
  const std::string library = js::toText(info[0]);
  const std::string path = js::toText(info[1]);
  return PromiseWorker<bool>::run(
      info.Env(),
      [library, path] {
        loadPlugins(library, path);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// gpus(): Promise<GpuProbe>
Napi::Value gpus(const Napi::CallbackInfo& info) {
  return PromiseWorker<GpuProbe>::run(info.Env(), probeGpus, [](Napi::Env env, const GpuProbe& probe) {
    auto result = Napi::Object::New(env);
    result.Set("reason", probe.reason);
    result.Set("driver", probe.driver);
    result.Set("cuda", probe.cuda);
    result.Set("gpus", js::fromList(env, probe.gpus, [env](const Gpu& gpu) {
                 auto object = Napi::Object::New(env);
                 object.Set("name", gpu.name);
                 object.Set("computeCapability", gpu.computeCapability);
                 object.Set("multiprocessors", gpu.multiprocessors);
                 object.Set("l2Bytes", static_cast<double>(gpu.l2Bytes));
                 object.Set("memoryBusBits", gpu.memoryBusBits);
                 object.Set("memoryBytes", static_cast<double>(gpu.memoryBytes));
                 return object;
               }));
    return result;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  EngineObject::define(env);
  exports.Set("load", Napi::Function::New<loadEngine>(env));
  exports.Set("exit", Napi::Function::New<exitFunction>(env));
  exports.Set("versions", Napi::Function::New<versions>(env));
  exports.Set("plugins", Napi::Function::New<plugins>(env));
  exports.Set("gpus", Napi::Function::New<gpus>(env));
  exports.Set("build", Napi::Function::New<buildEngine>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(tensorrt, initialize)

}  // namespace onnx_engine::tensorrt
