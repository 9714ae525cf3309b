#pragma once

#include "../engine_wrap.h"
#include "engine.h"

#include <atomic>
#include <optional>

namespace onnx_engine::onnxruntime {

class EngineObject;

// An inference in flight. It belongs to the thread of JavaScript, but for its outcome, until that is `ended`.
struct Call {
  // What the thread of JavaScript does meanwhile: it waits here, or the event loop goes on and is woken at the end.
  enum class State { awaited, ended, left };

  EngineObject* owner;
  std::atomic<State> state;
  Outcome outcome;
  // The rest is set once the event loop goes on. Keeps the bytes of inputs and targets alive.
  std::optional<Napi::Promise::Deferred> deferred;
  Napi::Reference<Napi::Array> inputs;
  Napi::Reference<Napi::Array> targets;

  Call(EngineObject* owner, State state) : owner(owner), state(state) {}
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
  bool mayAwait(const Engine& engine);
  static bool endsSoon(Call& call);
  Napi::Array read(Napi::Env env, const Outcome& outcome) const;
  void settle(Napi::Env env, Call& call);
  void cancel(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info) { return closeEngine(info.Env()); }

  // Since when every call was waited for: no time, once the event loop has turned.
  std::chrono::steady_clock::time_point awaitedSince_{};
};

}  // namespace onnx_engine::onnxruntime
