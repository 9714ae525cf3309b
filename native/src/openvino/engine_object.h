#pragma once

#include "../engine_wrap.h"
#include "engine.h"

#include <memory>
#include <optional>

namespace onnx_engine::openvino {

class EngineObject;

struct Call {
  EngineObject* owner;
  size_t request;
  std::optional<Napi::Promise::Deferred> deferred;
  // Keeps borrowed inputs alive.
  Napi::Reference<Napi::Array> inputs;
};

// A loaded engine in JavaScript. It reads the blob's bytes as long as it lives. See EngineWrap for lifetimes.
class EngineObject : public EngineWrap<EngineObject, Engine, Call> {
 public:
  static Napi::Value create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob);

  // Once per environment, before the first `create`.
  static void define(Napi::Env env);

  static void onDone(Napi::Env env, Call* call);

  explicit EngineObject(const Napi::CallbackInfo& info) : EngineWrap(info) {}

  ~EngineObject() override { release(); }

 private:
  Napi::Value infer(const Napi::CallbackInfo& info);
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info) { return closeEngine(info.Env()); }

  // One for each infer request.
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace onnx_engine::openvino
