#include "engine_object.h"

#include "../js_values.h"
#include "../promise_worker.h"

#include <stdexcept>

namespace onnx_engine::openvino {

namespace {

Napi::Array fromPorts(Napi::Env env, const std::vector<Port>& ports) {
  return js::fromList(env, ports, [env](const Port& port) {
    auto object = Napi::Object::New(env);
    object.Set("name", port.name);
    object.Set("dtype", port.type.name);
    if (port.anyRank) {
      object.Set("dims", env.Null());
      return object;
    }
    std::vector<int64_t> min;
    std::vector<int64_t> max;
    for (const auto& dim : port.dims) {
      min.push_back(dim.min);
      max.push_back(dim.max);
    }
    auto dims = Napi::Object::New(env);
    dims.Set("min", js::fromDims(env, min));
    dims.Set("max", js::fromDims(env, max));
    object.Set("dims", dims);
    return object;
  });
}

// One per environment.
struct Addon {
  Napi::FunctionReference engine;
};

}  // namespace

void EngineObject::define(Napi::Env env) {
  const auto constructor = DefineClass(env, "OpenVinoEngine",
                                       {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::cancel>("cancel"),
                                        InstanceMethod<&EngineObject::close>("close")});
  // Node frees it with the environment.
  env.SetInstanceData(new Addon{Napi::Persistent(constructor)});
}

Napi::Value EngineObject::create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob) {
  const auto object = env.GetInstanceData<Addon>()->engine.New({});
  Unwrap(object)->attach(env, std::move(engine), std::move(blob));
  object.Set("requests", Napi::Number::New(env, static_cast<double>(Unwrap(object)->engine_->requests())));
  object.Set("inputs", fromPorts(env, Unwrap(object)->engine_->inputs()));
  object.Set("outputs", fromPorts(env, Unwrap(object)->engine_->outputs()));
  return object;
}

void EngineObject::onEnded(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call) {
  // No environment: it is being torn down, and nobody is left to tell.
  if (env != nullptr) call->owner->settle(env, *call);
}

void EngineObject::attach(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob) {
  engine_ = std::move(engine);
  blob_ = std::move(blob);
  for (size_t i = 0; i < engine_->requests(); i++) calls_.push_back(std::make_unique<Call>(Call{this, i, std::nullopt, {}}));
  ended_ = Ended::New(env, "unplugin-onnx inference", 0, 1);
  // Only an inference in flight keeps the process alive, not a loaded model.
  ended_.Unref(env);
  engine_->onDone([this](size_t request) { ended_.NonBlockingCall(calls_[request].get()); });
  napi_add_env_cleanup_hook(env, onTeardown, this);
  attached_ = true;
}

Napi::Value EngineObject::infer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!engine_) throw Napi::Error::New(env, "the engine is closed");
  const auto request = info[0].As<Napi::Number>().Uint32Value();
  const auto inputs = info[1].As<Napi::Array>();
  const bool borrow = info[2].As<Napi::Boolean>().Value();
  if (request >= calls_.size()) throw Napi::Error::New(env, "no such infer request");

  const auto tensors = js::toList<Tensor>(inputs, [](const Napi::Value& value) {
    const auto input = value.As<Napi::Object>();
    auto bytes = input.Get("bytes").As<Napi::Uint8Array>();
    return Tensor{bytes.Data(), bytes.ByteLength(), js::toDims(input.Get("dims"))};
  });
  engine_->start(request, tensors, borrow);
  Call& call = *calls_[request];
  call.deferred.emplace(Napi::Promise::Deferred::New(env));
  if (borrow) call.inputs = Napi::Persistent(inputs);
  Ref();
  if (inFlight_++ == 0) ended_.Ref(env);
  return call.deferred->Promise();
}

void EngineObject::settle(Napi::Env env, Call& call) {
  if (!engine_ || !call.deferred) return;
  const Napi::Promise::Deferred deferred = *call.deferred;
  call.deferred.reset();
  call.inputs.Reset();
  if (--inFlight_ == 0) ended_.Unref(env);
  try {
    deferred.Resolve(js::fromList(env, engine_->finish(call.request), [env](const Tensor& output) {
      return js::fromOutput(env, js::fromBytes(env, output.data, output.bytes), output.dims);
    }));
  } catch (const Napi::Error& error) {
    deferred.Reject(error.Value());
  } catch (const std::exception& error) {
    deferred.Reject(Napi::Error::New(env, error.what()).Value());
  }
  // Last: this may free `this`.
  Unref();
}

void EngineObject::cancel(const Napi::CallbackInfo& info) {
  if (engine_) engine_->cancel(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value EngineObject::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (inFlight_ > 0) throw Napi::Error::New(env, "the engine has inferences in flight");
  if (!engine_) throw Napi::Error::New(env, "the engine is closed");
  // In a box, so that the engine dies on libuv's thread whoever lets go of the box last.
  const auto box = std::make_shared<std::unique_ptr<Engine>>(std::move(engine_));
  const auto blob = std::make_shared<Napi::ObjectReference>(std::move(blob_));
  release();
  return PromiseWorker<bool>::run(
      env,
      [box] {
        box->reset();
        return true;
      },
      [blob](Napi::Env env, bool) { return env.Undefined(); });
}

void EngineObject::release() {
  if (!attached_) return;
  attached_ = false;
  engine_.reset();
  blob_.Reset();
  napi_remove_env_cleanup_hook(Env(), onTeardown, this);
  ended_.Release();
}

void EngineObject::onTeardown(void* data) {
  auto* self = static_cast<EngineObject*>(data);
  self->attached_ = false;
  self->engine_.reset();
}

}  // namespace onnx_engine::openvino
