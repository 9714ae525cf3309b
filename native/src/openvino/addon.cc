#include "../promise_worker.h"
#include "builder.h"
#include "engine.h"
#include "probe.h"

#include <cstring>
#include <optional>
#include <stdexcept>

// The JavaScript boundary; ../../addon.ts is its type, and checks nothing: all values were checked by our own TypeScript before.
namespace onnx_engine::openvino {

namespace {

std::string text(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::String>().Utf8Value(); }

std::vector<int64_t> toDims(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> dims(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) dims[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return dims;
}

Napi::Array fromDims(Napi::Env env, const std::vector<int64_t>& dims) {
  const auto array = Napi::Array::New(env, dims.size());
  for (uint32_t i = 0; i < dims.size(); i++) array.Set(i, Napi::Number::New(env, static_cast<double>(dims[i])));
  return array;
}

std::vector<std::string> toNames(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> names(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) names[i] = array.Get(i).As<Napi::String>().Utf8Value();
  return names;
}

Properties toProperties(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  Properties properties;
  for (const auto& key : toNames(object.GetPropertyNames())) properties.emplace_back(key, text(object, key.c_str()));
  return properties;
}

Napi::Array fromPorts(Napi::Env env, const std::vector<Port>& ports) {
  const auto array = Napi::Array::New(env, ports.size());
  for (uint32_t i = 0; i < ports.size(); i++) {
    const Port& port = ports[i];
    auto object = Napi::Object::New(env);
    object.Set("name", port.name);
    object.Set("dtype", port.type.name);
    if (port.anyRank) {
      object.Set("dims", env.Null());
    } else {
      std::vector<int64_t> min;
      std::vector<int64_t> max;
      for (const auto& dim : port.dims) {
        min.push_back(dim.min);
        max.push_back(dim.max);
      }
      auto dims = Napi::Object::New(env);
      dims.Set("min", fromDims(env, min));
      dims.Set("max", fromDims(env, max));
      object.Set("dims", dims);
    }
    array.Set(i, object);
  }
  return array;
}

// One per environment.
struct Addon {
  Napi::FunctionReference engine;
};

// A loaded engine in JavaScript. Lifetime rules:
// 1. All methods run on the JavaScript thread of one environment; only `ended_` is called from threads of OpenVINO.
// 2. While an inference is in flight this object references itself, so the garbage collector cannot free it.
// 3. The cleanup hook is registered after the thread-safe function, so it runs before Node frees that one: it waits until
//    OpenVINO has let go, and no thread calls into a function that is gone. A worker that is terminated in mid-inference gets here.
// 4. `close` moves the engine to libuv's pool, since freeing one joins threads.
// 5. The blob's bytes belong to JavaScript and stay referenced for as long as the engine lives.
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Value create(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob) {
    const auto object = env.GetInstanceData<Addon>()->engine.New({});
    Unwrap(object)->attach(env, std::move(engine), std::move(blob));
    object.Set("requests", Napi::Number::New(env, static_cast<double>(Unwrap(object)->engine_->requests())));
    object.Set("inputs", fromPorts(env, Unwrap(object)->engine_->inputs()));
    object.Set("outputs", fromPorts(env, Unwrap(object)->engine_->outputs()));
    return object;
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "OpenVinoEngine",
                       {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::cancel>("cancel"),
                        InstanceMethod<&EngineObject::close>("close")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

  ~EngineObject() override { release(); }

 private:
  struct Call {
    EngineObject* owner;
    size_t request;
    std::optional<Napi::Promise::Deferred> deferred;
    // Keeps borrowed inputs alive.
    Napi::Reference<Napi::Array> inputs;
  };

  static void onEnded(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call) {
    // No environment: it is being torn down, and nobody is left to tell.
    if (env != nullptr) call->owner->settle(env, *call);
  }

  using Ended = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, onEnded>;

  void attach(Napi::Env env, std::unique_ptr<Engine> engine, Napi::ObjectReference blob) {
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

  Napi::Value infer(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!engine_) throw Napi::Error::New(env, "the engine is closed");
    const auto request = info[0].As<Napi::Number>().Uint32Value();
    const auto inputs = info[1].As<Napi::Array>();
    const bool borrow = info[2].As<Napi::Boolean>().Value();
    if (request >= calls_.size()) throw Napi::Error::New(env, "no such infer request");

    std::vector<Tensor> tensors(inputs.Length());
    for (uint32_t i = 0; i < inputs.Length(); i++) {
      const auto input = inputs.Get(i).As<Napi::Object>();
      auto bytes = input.Get("bytes").As<Napi::Uint8Array>();
      tensors[i].data = bytes.Data();
      tensors[i].bytes = bytes.ByteLength();
      tensors[i].dims = toDims(input.Get("dims"));
    }
    try {
      engine_->start(request, tensors, borrow);
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, error.what());
    }
    Call& call = *calls_[request];
    call.deferred.emplace(Napi::Promise::Deferred::New(env));
    if (borrow) call.inputs = Napi::Persistent(inputs);
    Ref();
    if (inFlight_++ == 0) ended_.Ref(env);
    return call.deferred->Promise();
  }

  void settle(Napi::Env env, Call& call) {
    if (!engine_ || !call.deferred) return;
    const Napi::Promise::Deferred deferred = *call.deferred;
    call.deferred.reset();
    call.inputs.Reset();
    if (--inFlight_ == 0) ended_.Unref(env);
    try {
      const auto outputs = engine_->finish(call.request);
      const auto result = Napi::Array::New(env, outputs.size());
      for (uint32_t i = 0; i < outputs.size(); i++) {
        const auto& output = outputs[i];
        auto buffer = Napi::ArrayBuffer::New(env, output.bytes);
        if (output.bytes > 0) std::memcpy(buffer.Data(), output.data, output.bytes);
        auto object = Napi::Object::New(env);
        object.Set("buffer", buffer);
        object.Set("dims", fromDims(env, output.dims));
        result.Set(i, object);
      }
      deferred.Resolve(result);
    } catch (const Napi::Error& error) {
      deferred.Reject(error.Value());
    } catch (const std::exception& error) {
      deferred.Reject(Napi::Error::New(env, error.what()).Value());
    }
    // Last: this may free `this`.
    Unref();
  }

  void cancel(const Napi::CallbackInfo& info) {
    if (engine_) engine_->cancel(info[0].As<Napi::Number>().Uint32Value());
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
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

  void release() {
    if (!attached_) return;
    attached_ = false;
    engine_.reset();
    blob_.Reset();
    napi_remove_env_cleanup_hook(Env(), onTeardown, this);
    ended_.Release();
  }

  static void onTeardown(void* data) {
    auto* self = static_cast<EngineObject*>(data);
    self->attached_ = false;
    self->engine_.reset();
  }

  Napi::ObjectReference blob_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Call>> calls_;
  Ended ended_;
  // Between `attach` and the first of close, teardown and garbage collection.
  bool attached_ = false;
  size_t inFlight_ = 0;
};

// version(library): Promise<string>
Napi::Value libraryVersion(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  return PromiseWorker<std::string>::run(
      info.Env(), [path] { return Library::open(path).version(); }, [](Napi::Env env, const std::string& version) { return Napi::String::New(env, version); });
}

// probe(library): Promise<{ version, devices }>
Napi::Value probeLibrary(const Napi::CallbackInfo& info) {
  struct Result {
    std::string version;
    std::vector<Device> devices;
  };
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  return PromiseWorker<Result>::run(
      info.Env(),
      [path] {
        const Library& library = Library::open(path);
        return Result{library.version(), probe(library)};
      },
      [](Napi::Env env, const Result& found) {
        auto result = Napi::Object::New(env);
        auto devices = Napi::Array::New(env, found.devices.size());
        for (uint32_t i = 0; i < found.devices.size(); i++) {
          const Device& device = found.devices[i];
          auto object = Napi::Object::New(env);
          object.Set("name", device.name);
          object.Set("fullName", device.fullName);
          object.Set("capabilities", device.capabilities);
          object.Set("runtimeRequirements", device.runtimeRequirements);
          devices.Set(i, object);
        }
        result.Set("version", found.version);
        result.Set("devices", devices);
        return result;
      });
}

// build(library, settings): Promise<void>
Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const auto object = info[1].As<Napi::Object>();
  BuildSettings settings{text(object, "model"), text(object, "output"), text(object, "device"), toProperties(object.Get("properties")), {}};
  const auto shapes = object.Get("shapes").As<Napi::Object>();
  for (const auto& input : toNames(shapes.GetPropertyNames())) {
    const auto bounds = shapes.Get(input).As<Napi::Object>();
    const auto min = toDims(bounds.Get("min"));
    const auto max = toDims(bounds.Get("max"));
    std::vector<ov_dimension_t> dims(min.size());
    for (size_t i = 0; i < dims.size(); i++) dims[i] = {min[i], max.at(i)};
    settings.shapes.push_back({input, std::move(dims)});
  }
  return PromiseWorker<bool>::run(
      info.Env(),
      [path, settings] {
        build(Library::open(path), settings);
        return true;
      },
      [](Napi::Env env, bool) { return env.Undefined(); });
}

// load(library, bytes, settings): Promise<OpenVinoEngine>
Napi::Value loadEngine(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  auto bytes = info[1].As<Napi::Uint8Array>();
  const auto object = info[2].As<Napi::Object>();
  const LoadSettings settings{text(object, "device"), toProperties(object.Get("properties")), toNames(object.Get("inputs")),
                              toNames(object.Get("outputs"))};
  const void* data = bytes.Data();
  const size_t size = bytes.ByteLength();
  const auto blob = std::make_shared<Napi::ObjectReference>(Napi::Persistent(bytes.As<Napi::Object>()));
  return PromiseWorker<std::unique_ptr<Engine>>::run(
      info.Env(), [path, data, size, settings] { return std::make_unique<Engine>(Library::open(path), data, size, settings); },
      [blob](Napi::Env env, std::unique_ptr<Engine> engine) { return EngineObject::create(env, std::move(engine), std::move(*blob)); });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon{Napi::Persistent(EngineObject::define(env))};
  // Node frees it with the environment.
  env.SetInstanceData(addon);
  exports.Set("version", Napi::Function::New<libraryVersion>(env));
  exports.Set("probe", Napi::Function::New<probeLibrary>(env));
  exports.Set("build", Napi::Function::New<buildEngine>(env));
  exports.Set("load", Napi::Function::New<loadEngine>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(openvino, initialize)

}  // namespace onnx_engine::openvino
