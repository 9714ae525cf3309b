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

struct Bytes {
  void* data;
  size_t bytes;
};

// Of a typed array of any type.
Bytes bytesOf(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

// `data` and `dims` have one entry for each input.
std::vector<Tensor> toTensors(const Napi::Array& data, const Napi::Array& dims) {
  std::vector<Tensor> tensors(data.Length());
  for (uint32_t i = 0; i < tensors.size(); i++) {
    const Napi::Value value = data.Get(i);
    if (value.IsTypedArray()) {
      const auto [address, size] = bytesOf(value);
      tensors[i].data = address;
      tensors[i].bytes = size;
    } else {
      tensors[i].strings = js::toTexts(value);
    }
    tensors[i].dims = js::toDims(dims.Get(i));
  }
  return tensors;
}

// `targets` and `dims` have one entry for each output, which may be null.
std::vector<Target> toTargets(const Napi::Array& targets, const Napi::Array& dims) {
  std::vector<Target> converted(targets.Length());
  for (uint32_t i = 0; i < converted.size(); i++) {
    const Napi::Value value = targets.Get(i);
    if (!value.IsTypedArray()) continue;
    const auto [address, size] = bytesOf(value);
    converted[i] = {address, size, js::toDims(dims.Get(i))};
  }
  return converted;
}

Napi::Array fromOutputs(Napi::Env env, const std::vector<Port>& ports, const std::vector<Output>& outputs) {
  const auto results = Napi::Array::New(env, outputs.size());
  for (uint32_t i = 0; i < outputs.size(); i++) {
    const Output& output = outputs[i];
    if (output.inTarget) {
      results.Set(i, env.Null());
    } else if (ports[i].type->bytes > 0) {
      results.Set(i, js::fromOutput(env, js::fromBytes(env, output.data, output.bytes), output.dims));
    } else {
      auto result = Napi::Object::New(env);
      result.Set("strings", js::fromList(env, output.strings,
                                         [env](const std::string& text) { return Napi::String::New(env, text); }));
      result.Set("dims", js::fromDims(env, output.dims));
      results.Set(i, result);
    }
  }
  return results;
}

// What `infer` and `inferSync` take.
struct Arguments {
  explicit Arguments(const Napi::CallbackInfo& info)
      : data(info[0].As<Napi::Array>()),
        targets(info[2].As<Napi::Array>()),
        tensors(toTensors(data, info[1].As<Napi::Array>())),
        memory(toTargets(targets, info[3].As<Napi::Array>())) {}

  Napi::Array data;
  Napi::Array targets;
  std::vector<Tensor> tensors;
  std::vector<Target> memory;
};

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
  call->targets.SuppressDestruct();
}

// infer(data, dims, targets, targetDims): { id, outputs }
Napi::Value EngineObject::infer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  Arguments arguments(info);
  auto result = Napi::Object::New(env);
  const auto state = mayAwait(engine) ? Call::State::awaited : Call::State::left;
  auto call = std::make_unique<Call>(this, state);
  const uint64_t id = engine.submit(std::move(arguments.tensors), std::move(arguments.memory),
                                    [this, raw = call.get()](Outcome outcome) {
                                      raw->outcome = std::move(outcome);
                                      if (raw->state.exchange(Call::State::ended) == Call::State::left) post(raw);
                                    });
  if (state == Call::State::awaited && endsSoon(*call)) {
    result.Set("outputs", read(env, call->outcome));
    return result;
  }
  // `settle` owns it from here; it runs on this thread, and so after this.
  Call& left = *call.release();
  left.inputs = Napi::Persistent(arguments.data);
  left.targets = Napi::Persistent(arguments.targets);
  left.deferred = Napi::Promise::Deferred::New(env);
  begin(env);
  result.Set("id", Napi::Number::New(env, static_cast<double>(id)));
  result.Set("outputs", left.deferred->Promise());
  return result;
}

// A loop of calls that are all waited for never leaves JavaScript's microtasks: timers and sockets would starve. So the
// event loop turns once in a millisecond at least.
bool EngineObject::mayAwait(const Engine& engine) {
  if (!engine.isQuick()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (awaitedSince_ == decltype(now){}) awaitedSince_ = now;
  return now - awaitedSince_ < std::chrono::milliseconds(1);
}

// Waits no longer than the event loop would take to wake up. If the call has not ended then, its thread posts it.
bool EngineObject::endsSoon(Call& call) {
  const auto end = std::chrono::steady_clock::now() + 2 * Engine::quickRun;
  while (call.state != Call::State::ended && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  auto expected = Call::State::awaited;
  return !call.state.compare_exchange_strong(expected, Call::State::left);
}

// inferSync(data, dims, targets, targetDims): outputs
Napi::Value EngineObject::inferSync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Engine& engine = *openEngine(env);
  const Arguments arguments(info);
  return fromOutputs(env, engine.session().outputs(), engine.runNow(arguments.tensors, arguments.memory));
}

// Throws Napi::Error.
Napi::Array EngineObject::read(Napi::Env env, const Outcome& outcome) const {
  if (!outcome.error.empty()) throw Napi::Error::New(env, outcome.error);
  return fromOutputs(env, openEngine(env)->session().outputs(), outcome.outputs);
}

void EngineObject::settle(Napi::Env env, Call& call) {
  awaitedSince_ = {};
  try {
    call.deferred->Resolve(read(env, call.outcome));
  } catch (const Napi::Error& error) {
    call.deferred->Reject(error.Value());
  } catch (const std::exception& error) {
    call.deferred->Reject(Napi::Error::New(env, error.what()).Value());
  }
  end(env);
}

void EngineObject::cancel(const Napi::CallbackInfo& info) {
  if (engine()) engine()->cancel(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

}  // namespace onnx_engine::onnxruntime
