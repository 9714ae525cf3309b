#include "engine_object.h"

#include "../js_values.h"

#include <stdexcept>

namespace onnx_engine::onnxruntime {

namespace {

Napi::Array fromPorts(Napi::Env env, const std::vector<Port>& ports) {
  return js::fromList(env, ports, [env](const Port& port) {
    auto entry = Napi::Object::New(env);
    entry.Set("name", port.name);
    entry.Set("dtype", port.type->name);
    return entry;
  });
}

// `data` and `dims` have one entry for each input.
std::vector<Tensor> toTensors(const Napi::Array& data, const Napi::Array& dims) {
  std::vector<Tensor> tensors(data.Length());
  for (uint32_t i = 0; i < tensors.size(); i++) {
    const Napi::Value value = data.Get(i);
    if (value.IsTypedArray()) {
      auto bytes = value.As<Napi::Uint8Array>();
      tensors[i].data = bytes.Data();
      tensors[i].bytes = bytes.ByteLength();
    } else {
      tensors[i].strings = js::toTexts(value);
    }
    tensors[i].dims = js::toDims(dims.Get(i));
  }
  return tensors;
}

// A target for each output of which `dims` has the dims, in a new buffer of `buffers`.
std::vector<Target> toTargets(Napi::Env env, const std::vector<Port>& ports, const Napi::Array& dims,
                              const Napi::Array& buffers) {
  std::vector<Target> targets(ports.size());
  for (uint32_t i = 0; i < targets.size(); i++) {
    const Napi::Value value = dims.Get(i);
    if (!value.IsArray() || ports[i].type->bytes == 0) continue;
    Target& target = targets[i];
    target.dims = js::toDims(value);
    target.bytes = elementCount(target.dims) * ports[i].type->bytes;
    auto buffer = Napi::ArrayBuffer::New(env, target.bytes);
    target.data = buffer.Data();
    buffers.Set(i, buffer);
  }
  return targets;
}

Napi::Array fromOutputs(Napi::Env env, const std::vector<Port>& ports, const std::vector<Output>& outputs,
                        const Napi::Array& buffers) {
  const auto results = Napi::Array::New(env, outputs.size());
  for (uint32_t i = 0; i < outputs.size(); i++) {
    const Output& output = outputs[i];
    if (ports[i].type->bytes == 0) {
      auto result = Napi::Object::New(env);
      result.Set("strings", js::fromList(env, output.strings,
                                         [env](const std::string& text) { return Napi::String::New(env, text); }));
      result.Set("dims", js::fromDims(env, output.dims));
      results.Set(i, result);
      continue;
    }
    const auto buffer =
        output.value ? js::fromBytes(env, output.data, output.bytes) : buffers.Get(i).As<Napi::ArrayBuffer>();
    results.Set(i, js::fromOutput(env, buffer, output.dims));
  }
  return results;
}

}  // namespace

void EngineObject::define(Napi::Env env) {
  defineClass(env, "OnnxRuntimeEngine",
              {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::inferSync>("inferSync"),
               InstanceMethod<&EngineObject::cancel>("cancel"), InstanceMethod<&EngineObject::close>("close")});
}

Napi::Value EngineObject::create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference bytes) {
  const auto object = construct(env);
  object.Set("runs", Napi::Number::New(env, static_cast<double>(engine->runs())));
  object.Set("inputs", fromPorts(env, engine->session().inputs()));
  object.Set("outputs", fromPorts(env, engine->session().outputs()));
  Unwrap(object)->attach(env, std::move(engine), std::move(bytes));
  return object;
}

void EngineObject::onDone(Napi::Env env, Call* raw) {
  const std::unique_ptr<Call> call(raw);
  if (env != nullptr) {
    call->owner->settle(env, *call);
    return;
  }
  // References die with the environment.
  call->inputs.SuppressDestruct();
  call->buffers.SuppressDestruct();
}

// infer(data, dims, outputs): { id, outputs }
Napi::Value EngineObject::infer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  const auto data = info[0].As<Napi::Array>();
  const auto buffers = Napi::Array::New(env);
  auto tensors = toTensors(data, info[1].As<Napi::Array>());
  auto targets = toTargets(env, engine.session().outputs(), info[2].As<Napi::Array>(), buffers);
  auto call = std::make_unique<Call>(
      Call{this, Napi::Promise::Deferred::New(env), Napi::Persistent(data), Napi::Persistent(buffers), {}});
  const Napi::Promise promise = call->deferred.Promise();
  const uint64_t id = engine.submit(std::move(tensors), std::move(targets), [this, raw = call.get()](Outcome outcome) {
    raw->outcome = std::move(outcome);
    post(raw);
  });
  // `settle` owns it from here; it runs on this thread, and so after this.
  call.release();
  begin(env);
  auto result = Napi::Object::New(env);
  result.Set("id", Napi::Number::New(env, static_cast<double>(id)));
  result.Set("outputs", promise);
  return result;
}

// inferSync(data, dims, outputs): outputs
Napi::Value EngineObject::inferSync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  const auto buffers = Napi::Array::New(env);
  const auto tensors = toTensors(info[0].As<Napi::Array>(), info[1].As<Napi::Array>());
  const auto targets = toTargets(env, engine.session().outputs(), info[2].As<Napi::Array>(), buffers);
  return fromOutputs(env, engine.session().outputs(), engine.runNow(tensors, targets), buffers);
}

void EngineObject::settle(Napi::Env env, Call& call) {
  try {
    if (!call.outcome.error.empty()) throw std::runtime_error(call.outcome.error);
    if (!engine()) throw std::runtime_error("the engine is closed");
    call.deferred.Resolve(fromOutputs(env, engine()->session().outputs(), call.outcome.outputs, call.buffers.Value()));
  } catch (const Napi::Error& error) {
    call.deferred.Reject(error.Value());
  } catch (const std::exception& error) {
    call.deferred.Reject(Napi::Error::New(env, error.what()).Value());
  }
  end(env);
}

void EngineObject::cancel(const Napi::CallbackInfo& info) {
  if (engine()) engine()->cancel(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

}  // namespace onnx_engine::onnxruntime
