#include "engine_object.h"

#include "../js_values.h"
#include "../promise_worker.h"

#include <algorithm>

namespace onnx_engine::tensorrt {

namespace {

Napi::Array fromPorts(Napi::Env env, const std::vector<Port>& ports) {
  return js::fromList(env, ports, [env](const Port& port) {
    auto entry = Napi::Object::New(env);
    entry.Set("name", port.name);
    entry.Set("dtype", port.dtype);
    entry.Set("input", port.input);
    entry.Set("dims", js::fromDims(env, port.dims));
    return entry;
  });
}

Napi::Array fromProfiles(Napi::Env env, const std::vector<Bounds>& profiles) {
  const auto fromAll = [env](const std::vector<std::vector<int64_t>>& all) {
    return js::fromList(env, all, [env](const std::vector<int64_t>& numbers) { return js::fromDims(env, numbers); });
  };
  return js::fromList(env, profiles, [&](const Bounds& bounds) {
    auto entry = Napi::Object::New(env);
    entry.Set("min", fromAll(bounds.min));
    entry.Set("max", fromAll(bounds.max));
    entry.Set("minValues", fromAll(bounds.minValues));
    entry.Set("maxValues", fromAll(bounds.maxValues));
    return entry;
  });
}

}  // namespace

void EngineObject::define(Napi::Env env) {
  defineClass(
      env, "TensorRtEngine",
      {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::cancel>("cancel"),
       InstanceMethod<&EngineObject::takeTimes>("takeTimes"),
       InstanceMethod<&EngineObject::runtimeCache>("runtimeCache"), InstanceMethod<&EngineObject::close>("close")});
}

Napi::Value EngineObject::create(Napi::Env env, std::shared_ptr<Engine> engine) {
  const auto object = construct(env);
  auto* self = Unwrap(object);
  for (const auto& port : engine->ports()) {
    if (port.input) continue;
    const bool open = std::any_of(port.dims.begin(), port.dims.end(), [](int64_t dim) { return dim < 0; });
    self->fixedBytes_.push_back(open ? 0 : byteSize(port, port.dims));
  }
  object.Set("ports", fromPorts(env, engine->ports()));
  object.Set("profiles", fromProfiles(env, engine->profiles()));
  self->attach(env, std::move(engine));
  return object;
}

void EngineObject::onDone(Napi::Env env, Call* raw) {
  const std::unique_ptr<Call> call(raw);
  if (env != nullptr) {
    call->owner->settle(env, *call);
    return;
  }
  // References die with the environment.
  call->outputs.SuppressDestruct();
  call->inputs.SuppressDestruct();
}

// infer(inputs, borrow): { id, outputs }
Napi::Value EngineObject::infer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  const auto inputs = info[0].As<Napi::Array>();
  const bool borrow = info[1].As<Napi::Boolean>().Value();
  auto tensors = toTensors(engine, inputs, borrow);
  std::vector<Target> targets;
  const auto buffers = js::fromList(env, fixedBytes_, [&](size_t bytes) {
    auto buffer = Napi::ArrayBuffer::New(env, bytes);
    targets.push_back({bytes == 0 ? nullptr : buffer.Data(), bytes});
    return buffer;
  });
  auto call = std::make_unique<Call>(Call{this, Napi::Promise::Deferred::New(env), Napi::Persistent(buffers), {}, {}});
  if (borrow) call->inputs = Napi::Persistent(inputs);
  const Napi::Promise promise = call->deferred.Promise();
  const uint64_t id = engine.submit(std::move(tensors), std::move(targets), [this, raw = call.get()](Outcome outcome) {
    raw->outcome = std::move(outcome);
    post(raw);
  });
  // Owned by `settle` from here on, which runs later on this same thread.
  call.release();
  begin(env);
  auto result = Napi::Object::New(env);
  result.Set("id", Napi::Number::New(env, static_cast<double>(id)));
  result.Set("outputs", promise);
  return result;
}

std::vector<Tensor> EngineObject::toTensors(Engine& engine, const Napi::Array& inputs, bool borrow) {
  return js::toList<Tensor>(inputs, [&](const Napi::Value& value) {
    const auto input = value.As<Napi::Object>();
    auto bytes = input.Get("bytes").As<Napi::Uint8Array>();
    auto dims = js::toDims(input.Get("dims"));
    if (!borrow) return engine.copyOf(bytes.Data(), bytes.ByteLength(), std::move(dims));
    Tensor tensor;
    tensor.data = bytes.Data();
    tensor.bytes = bytes.ByteLength();
    tensor.dims = std::move(dims);
    return tensor;
  });
}

void EngineObject::settle(Napi::Env env, Call& call) {
  call.inputs.Reset();
  try {
    if (!call.outcome.error.empty()) throw Napi::Error::New(env, call.outcome.error);
    const Napi::Array buffers = call.outputs.Value();
    uint32_t next = 0;
    call.deferred.Resolve(js::fromList(env, call.outcome.outputs, [&](const Tensor& output) {
      auto buffer = buffers.Get(next++).As<Napi::ArrayBuffer>();
      // The buffer has another size, so the output is in memory of its own.
      if (output.own) buffer = js::fromBytes(env, output.data, output.bytes);
      return js::fromOutput(env, buffer, output.dims);
    }));
  } catch (const Napi::Error& error) {
    call.deferred.Reject(error.Value());
  }
  end(env);
}

void EngineObject::cancel(const Napi::CallbackInfo& info) {
  if (engine()) engine()->cancel(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

// takeTimes(): ArrayBuffer
Napi::Value EngineObject::takeTimes(const Napi::CallbackInfo& info) {
  static_assert(sizeof(GpuTimes) == 3 * sizeof(float), "JavaScript reads three numbers of each inference");
  const auto times = openEngine(info.Env())->takeTimes();
  return js::fromBytes(info.Env(), times.data(), times.size() * sizeof(GpuTimes));
}

// runtimeCache(): Promise<ArrayBuffer>
Napi::Value EngineObject::runtimeCache(const Napi::CallbackInfo& info) {
  const auto engine = openEngine(info.Env());
  return PromiseWorker<std::vector<char>>::run(
      info.Env(), [engine] { return engine->runtimeCache(); },
      [](Napi::Env env, const std::vector<char>& bytes) { return js::fromBytes(env, bytes.data(), bytes.size()); });
}

}  // namespace onnx_engine::tensorrt
