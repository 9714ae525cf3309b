#pragma once

#include "exit_gate.h"
#include "napi_setup.h"

#include <exception>
#include <functional>
#include <utility>

namespace onnx_engine {

// Runs `work` on a thread of libuv's pool and settles a promise on the JavaScript thread: with the value as `result`
// converts it, or with an Error that has the text of the exception that `work` threw.
//
// Rules: `work` touches no JavaScript value; the caller converts all that it needs first. `result` holds references to
// objects that must outlive `work`, such as a buffer that it reads: `result` is called and destroyed on the JavaScript
// thread. libuv has four such threads for the whole process, so this is for opening and closing, never for inference.
template <typename Value>
class PromiseWorker : public Napi::AsyncWorker {
 public:
  using Work = std::function<Value()>;
  using Result = std::function<Napi::Value(Napi::Env, Value)>;

  static Napi::Promise run(Napi::Env env, Work work, Result result) {
    // Deletes itself after OnOK or OnError.
    auto* worker = new PromiseWorker(env, std::move(work), std::move(result));
    const Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 private:
  PromiseWorker(Napi::Env env, Work work, Result result)
      : Napi::AsyncWorker(env, "unplugin-onnx"),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        result_(std::move(result)) {}

  // libuv's thread. Exceptions reach OnError.
  void Execute() override {
    const ExitGate::Pass pass;
    value_ = work_();
  }

  // JavaScript thread. `result_` may throw too, for example when memory runs out.
  void OnOK() override {
    try {
      deferred_.Resolve(result_(Env(), std::move(value_)));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (const std::exception& error) {
      deferred_.Reject(Napi::Error::New(Env(), error.what()).Value());
    }
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  Work work_;
  Result result_;
  Value value_{};
};

}  // namespace onnx_engine
