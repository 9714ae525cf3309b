#pragma once

#include "promise_worker.h"

#include <memory>
#include <vector>

namespace onnx_engine {

// The lifetime of an engine in JavaScript, the same for all addons. `Object` derives from this and has a static
// `onDone(Napi::Env, Call*)`, which receives each call that was given to `post`. Without an environment it only cleans
// up: the environment is being torn down, and no JavaScript may run. Rules:
// 1. All methods run on the JavaScript thread of one environment; only `post` is called from threads of the engine.
// 2. While an inference is in flight this object references itself, so the garbage collector cannot free it.
// 3. The cleanup hook is registered after the thread-safe function, so it runs before Node frees that function: the
//    engine's destructor waits for its threads, and none of them calls a function that is gone. This is what happens
//    when a worker is terminated in the middle of an inference.
// 4. `closeEngine` moves the engine to libuv's pool, because freeing an engine waits for threads and devices.
// 5. JavaScript bytes that the engine reads stay referenced for as long as it lives.
// 6. The destructor of `Object` calls `release` first, while the members that the engine's threads use still exist.
template <typename Object, typename Engine, typename Call>
class EngineWrap : public Napi::ObjectWrap<Object> {
 public:
  explicit EngineWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Object>(info) {}

 protected:
  // Once per environment, before the first `construct`.
  static void defineClass(Napi::Env env, const char* name,
                          const std::vector<Napi::ClassPropertyDescriptor<Object>>& methods) {
    // Node frees it with the environment.
    env.SetInstanceData(new Addon{Napi::Persistent(Object::DefineClass(env, name, methods))});
  }

  // The caller continues with `attach`.
  static Napi::Object construct(Napi::Env env) { return env.GetInstanceData<Addon>()->engine.New({}); }

  void attach(Napi::Env env, std::shared_ptr<Engine> engine, Napi::ObjectReference bytes = {}) {
    engine_ = std::move(engine);
    bytes_ = std::move(bytes);
    doneCalls_ = DoneCalls::New(env, "unplugin-onnx inference", 0, 1);
    // Only an inference in flight keeps the process alive, not a loaded model.
    doneCalls_.Unref(env);
    napi_add_env_cleanup_hook(env, onTeardown, this);
    attached_ = true;
    Napi::MemoryManagement::AdjustExternalMemory(env, nativeBytes);
  }

  // Null after it was closed.
  const std::shared_ptr<Engine>& engine() const { return engine_; }

  const std::shared_ptr<Engine>& openEngine(Napi::Env env) const {
    if (!engine_) throw Napi::Error::New(env, "the engine is closed");
    return engine_;
  }

  void begin(Napi::Env env) {
    this->Ref();
    if (inFlight_++ == 0) doneCalls_.Ref(env);
  }

  void post(Call* call) { doneCalls_.NonBlockingCall(call); }

  // Once for each `begin`. May free `this`.
  void end(Napi::Env env) {
    if (--inFlight_ == 0 && attached_) doneCalls_.Unref(env);
    this->Unref();
  }

  // A promise. Throws while an inference is in flight.
  Napi::Value closeEngine(Napi::Env env) {
    if (inFlight_ > 0) throw Napi::Error::New(env, "the engine has inferences in flight");
    openEngine(env);
    // In a box that the work empties, so that the engine dies on libuv's thread.
    const auto box = std::make_shared<std::shared_ptr<Engine>>(std::move(engine_));
    const auto bytes = std::make_shared<Napi::ObjectReference>(std::move(bytes_));
    release();
    return PromiseWorker<bool>::run(
        env,
        [box] {
          box->reset();
          return true;
        },
        [bytes](Napi::Env env, bool) { return env.Undefined(); });
  }

  void release() {
    if (!attached_) return;
    attached_ = false;
    Napi::MemoryManagement::AdjustExternalMemory(this->Env(), -nativeBytes);
    engine_.reset();
    bytes_.Reset();
    napi_remove_env_cleanup_hook(this->Env(), onTeardown, this);
    doneCalls_.Release();
  }

 private:
  // What the garbage collector is to think of an engine besides the bytes of its file: it sees a small object, and
  // would let thousands of dropped ones pile up, with their threads.
  static constexpr int64_t nativeBytes = 1 << 20;

  // One per environment.
  struct Addon {
    Napi::FunctionReference engine;
  };

  static void onDone(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call) { Object::onDone(env, call); }
  using DoneCalls = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, onDone>;

  static void onTeardown(void* data) {
    auto* self = static_cast<EngineWrap*>(data);
    self->attached_ = false;
    self->engine_.reset();
  }

  Napi::ObjectReference bytes_;
  std::shared_ptr<Engine> engine_;
  DoneCalls doneCalls_;
  // Between `attach` and the first of close, teardown and garbage collection.
  bool attached_ = false;
  size_t inFlight_ = 0;
};

}  // namespace onnx_engine
