#include "../exit_function.h"
#include "../js_values.h"
#include "../promise_worker.h"
#include "engine_object.h"

// The functions that JavaScript calls; ../../addon.ts is their type.
namespace onnx_engine::onnxruntime {

namespace {

// version(library): Promise<string>
Napi::Value libraryVersion(const Napi::CallbackInfo& info) {
  const std::string path = js::toText(info[0]);
  return PromiseWorker<std::string>::run(
      info.Env(), [path] { return Library::open(path).version(); },
      [](Napi::Env env, const std::string& version) { return Napi::String::New(env, version); });
}

// load(library, bytes, settings): Promise<OnnxRuntimeEngine>
Napi::Value loadEngine(const Napi::CallbackInfo& info) {
  const std::string path = js::toText(info[0]);
  auto bytes = info[1].As<Napi::Uint8Array>();
  const auto object = info[2].As<Napi::Object>();
  SessionSettings settings{js::toNumber<int>(object, "threads").value_or(0),
                           js::toTexts(object.Get("inputs")),
                           js::toTexts(object.Get("outputs")),
                           nullptr,
                           0,
                           js::toText(object.Get("weightsName"))};
  if (const Napi::Value value = object.Get("weights"); value.IsTypedArray()) {
    auto weights = value.As<Napi::Uint8Array>();
    settings.weights = weights.Data();
    settings.weightsBytes = weights.ByteLength();
  }
  const auto runs = js::toNumber<size_t>(object, "runs");
  const void* data = bytes.Data();
  const size_t size = bytes.ByteLength();
  const auto reference = std::make_shared<Napi::ObjectReference>(Napi::Persistent(bytes.As<Napi::Object>()));
  return PromiseWorker<std::unique_ptr<Engine>>::run(
      info.Env(),
      [path, data, size, settings, runs] {
        return std::make_unique<Engine>(std::make_unique<Session>(Library::open(path), data, size, settings), runs);
      },
      [reference, data, size](Napi::Env env, std::unique_ptr<Engine> engine) {
        auto kept = Session::usesBytes(data, size) ? std::move(*reference) : Napi::ObjectReference();
        return EngineObject::create(env, std::move(engine), std::move(kept));
      });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  EngineObject::define(env);
  exports.Set("version", Napi::Function::New<libraryVersion>(env));
  exports.Set("load", Napi::Function::New<loadEngine>(env));
  exports.Set("exit", Napi::Function::New<exitFunction>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(onnxruntime, initialize)

}  // namespace onnx_engine::onnxruntime
