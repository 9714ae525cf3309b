#pragma once

#include "../napi_setup.h"
#include "engine.h"

#include <memory>
#include <optional>

namespace onnx_engine::openvino {

// A loaded engine in JavaScript. Lifetime rules:
// 1. All methods run on the JavaScript thread of one environment; only `ended_` is called from threads of OpenVINO.
// 2. While an inference is in flight this object references itself, so the garbage collector cannot free it.
// 3. The cleanup hook is registered after the thread-safe function, so it runs before Node frees that one: it waits until
//    OpenVINO has let go, and no thread calls into a function that is gone. A worker that is terminated in mid-inference gets here.
// 4. `close` moves the engine to libuv's pool, since freeing one joins threads.
// 5. The blob's bytes belong to JavaScript and stay referenced for as long as the engine lives.
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Value create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob);

  // Once per environment, before the first `create`.
  static void define(Napi::Env env);

  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

  ~EngineObject() override { release(); }

 private:
  struct Call {
    EngineObject* owner;
    size_t request;
    std::optional<Napi::Promise::Deferred> deferred;
    // Keeps borrowed inputs alive.
    Napi::Reference<Napi::Array> inputs;
  };

  static void onEnded(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call);
  using Ended = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, onEnded>;

  void attach(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob);
  Napi::Value infer(const Napi::CallbackInfo& info);
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void release();
  static void onTeardown(void* data);

  Napi::ObjectReference blob_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Call>> calls_;
  Ended ended_;
  // Between `attach` and the first of close, teardown and garbage collection.
  bool attached_ = false;
  size_t inFlight_ = 0;
};

}  // namespace onnx_engine::openvino
