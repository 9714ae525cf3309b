#pragma once

#include "../engine_wrap.h"
#include "engine.h"

namespace onnx_engine::onnxruntime {

class EngineObject;

struct Call {
  EngineObject* owner;
  Napi::Promise::Deferred deferred;
  // Keeps the bytes of inputs and targets alive.
  Napi::Reference<Napi::Array> inputs;
  Napi::Reference<Napi::Array> targets;
  Outcome outcome;
};

// A loaded engine in JavaScript. See EngineWrap for lifetimes. ONNX Runtime reads inputs where they are, and writes
// outputs of known dims into arrays of JavaScript: V8 does not move their bytes, and the event loop copies nothing.
class EngineObject : public EngineWrap<EngineObject, Engine, Call> {
 public:
  // `bytes` are those of the engine when it is computed on in place; otherwise empty.
  static Napi::Value create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference bytes);

  // Once per environment, before the first `create`.
  static void define(Napi::Env env);

  static void onDone(Napi::Env env, Call* raw);

  explicit EngineObject(const Napi::CallbackInfo& info) : EngineWrap(info) {}

  ~EngineObject() override { release(); }

 private:
  Napi::Value infer(const Napi::CallbackInfo& info);
  Napi::Value inferSync(const Napi::CallbackInfo& info);
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info) { return closeEngine(info.Env()); }
};

}  // namespace onnx_engine::onnxruntime
