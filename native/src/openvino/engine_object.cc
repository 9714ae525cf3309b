#include "engine_object.h"

#include "../js_values.h"

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

}  // namespace

void EngineObject::define(Napi::Env env) {
  defineClass(env, "OpenVinoEngine",
              {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::cancel>("cancel"),
               InstanceMethod<&EngineObject::close>("close")});
}

Napi::Value EngineObject::create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob) {
  const auto object = construct(env);
  auto* self = Unwrap(object);
  for (size_t i = 0; i < engine->requests(); i++)
    self->calls_.push_back(std::make_unique<Call>(Call{self, i, std::nullopt, {}}));
  object.Set("requests", Napi::Number::New(env, static_cast<double>(engine->requests())));
  object.Set("inputs", fromPorts(env, engine->inputs()));
  object.Set("outputs", fromPorts(env, engine->outputs()));
  engine->onDone([self](size_t request) { self->post(self->calls_[request].get()); });
  self->attach(env, std::move(engine), std::move(blob));
  return object;
}

void EngineObject::onDone(Napi::Env env, Call* call) {
  if (env != nullptr) call->owner->settle(env, *call);
}

Napi::Value EngineObject::infer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  const auto request = info[0].As<Napi::Number>().Uint32Value();
  const auto inputs = info[1].As<Napi::Array>();
  const bool borrow = info[2].As<Napi::Boolean>().Value();
  if (request >= calls_.size()) throw Napi::Error::New(env, "no such infer request");

  const auto tensors = js::toList<Tensor>(inputs, [](const Napi::Value& value) {
    const auto input = value.As<Napi::Object>();
    auto bytes = input.Get("bytes").As<Napi::Uint8Array>();
    return Tensor{bytes.Data(), bytes.ByteLength(), js::toDims(input.Get("dims"))};
  });
  engine.start(request, tensors, borrow);
  Call& call = *calls_[request];
  call.deferred.emplace(Napi::Promise::Deferred::New(env));
  if (borrow) call.inputs = Napi::Persistent(inputs);
  begin(env);
  return call.deferred->Promise();
}

void EngineObject::settle(Napi::Env env, Call& call) {
  if (!engine() || !call.deferred) return;
  const Napi::Promise::Deferred deferred = *call.deferred;
  call.deferred.reset();
  call.inputs.Reset();
  try {
    deferred.Resolve(js::fromList(env, engine()->finish(call.request), [env](const Tensor& output) {
      return js::fromOutput(env, js::fromBytes(env, output.data, output.bytes), output.dims);
    }));
  } catch (const Napi::Error& error) {
    deferred.Reject(error.Value());
  } catch (const std::exception& error) {
    deferred.Reject(Napi::Error::New(env, error.what()).Value());
  }
  end(env);
}

void EngineObject::cancel(const Napi::CallbackInfo& info) {
  if (engine()) engine()->cancel(info[0].As<Napi::Number>().Uint32Value());
}

}  // namespace onnx_engine::openvino
