#pragma once

#include "../engine_wrap.h"
#include "engine.h"

namespace onnx_engine::tensorrt {

class EngineObject;

struct Call {
  EngineObject* owner;
  Napi::Promise::Deferred deferred;
  // Buffers for the outputs, empty where the dims are not fixed.
  Napi::Reference<Napi::Array> outputs;
  // Borrowed inputs.
  Napi::Reference<Napi::Array> inputs;
  Outcome outcome;
};

// A loaded engine in JavaScript. See EngineWrap for lifetimes. Threads of the engine write outputs of fixed dims into
// buffers of JavaScript, which are referenced until the call has settled: V8 does not move their bytes, and the event
// loop copies nothing.
class EngineObject : public EngineWrap<EngineObject, Engine, Call> {
 public:
  static Napi::Value create(Napi::Env env, std::shared_ptr<Engine> engine);

  // Once per environment, before the first `create`.
  static void define(Napi::Env env);

  static void onDone(Napi::Env env, Call* raw);

  explicit EngineObject(const Napi::CallbackInfo& info) : EngineWrap(info) {}

  ~EngineObject() override { release(); }

 private:
  Napi::Value infer(const Napi::CallbackInfo& info);
  static std::vector<Tensor> toTensors(Engine& engine, const Napi::Array& inputs, bool borrow);
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value takeTimes(const Napi::CallbackInfo& info);
  Napi::Value runtimeCache(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info) { return closeEngine(info.Env()); }

  // Bytes of each output, in order; 0 where only the inference decides.
  std::vector<size_t> fixedBytes_;
};

}  // namespace onnx_engine::tensorrt
