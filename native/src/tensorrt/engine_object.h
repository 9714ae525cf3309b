#pragma once

#include "../napi_setup.h"
#include "engine.h"

namespace onnx_engine::tensorrt {

// A loaded engine in JavaScript. Lifetime rules:
// 1. All methods run on the JavaScript thread of one environment; only `onDone` is called from threads of the engine.
// 2. While an inference is in flight this object references itself, so the garbage collector cannot free it.
// 3. The cleanup hook is registered after the thread-safe function, so it runs before Node frees that one: the engine's destructor waits
//    for its threads, and none calls into a function that is gone. A worker that is terminated in mid-inference gets here.
// 4. `close` moves the engine to libuv's pool, since freeing one waits for the GPU.
// 5. Threads of the engine write outputs of fixed dims into buffers of JavaScript, which are referenced until the call has settled: V8
//    does not move their bytes, and the event loop copies nothing.
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Value create(Napi::Env env, std::shared_ptr<Engine> engine);

  // Once per environment, before the first `create`.
  static void define(Napi::Env env);

  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

  ~EngineObject() override { release(); }

 private:
  struct Call {
    EngineObject* owner;
    Napi::Promise::Deferred deferred;
    // Buffers for the outputs, empty ones for those that have no fixed dims; and borrowed inputs.
    Napi::Reference<Napi::Array> outputs;
    Napi::Reference<Napi::Array> inputs;
    Outcome outcome;
  };

  static void onEnded(Napi::Env env, Napi::Function, std::nullptr_t*, Call* raw);
  using Ended = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, onEnded>;

  void attach(Napi::Env env, std::shared_ptr<Engine> engine);
  Napi::Value infer(const Napi::CallbackInfo& info);
  std::vector<Tensor> toTensors(const Napi::Array& inputs, bool borrow);
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value runtimeCache(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void release();
  static void onTeardown(void* data);

  std::shared_ptr<Engine> engine_;
  // Bytes of the outputs, in their order; nothing for those of which only the run tells.
  std::vector<size_t> fixedBytes_;
  Ended ended_;
  // Between `attach` and the first of close, teardown and garbage collection.
  bool attached_ = false;
  size_t inFlight_ = 0;
};

}  // namespace onnx_engine::tensorrt
