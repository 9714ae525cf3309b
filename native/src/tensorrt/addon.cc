#include "../promise_worker.h"
#include "builder.h"
#include "cuda.h"
#include "engine.h"
#include "plan.h"
#include "probe.h"

#include <cstring>
#include <stdexcept>
#include <thread>

// The JavaScript boundary; ../../addon.ts is its type, and checks nothing: all values were checked by our own TypeScript before.
namespace onnx_engine::tensorrt {

namespace {

std::string text(const Napi::Object& object, const char* key) { return object.Get(key).As<Napi::String>().Utf8Value(); }

std::vector<int64_t> toDims(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> dims(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) dims[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return dims;
}

template <typename T>
std::optional<T> toNumber(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsNumber()) return std::nullopt;
  return static_cast<T>(value.As<Napi::Number>().Int64Value());
}

template <typename T, typename Convert>
std::vector<T> toList(const Napi::Value& value, Convert convert) {
  const auto array = value.As<Napi::Array>();
  std::vector<T> list;
  for (uint32_t i = 0; i < array.Length(); i++) list.push_back(convert(array.Get(i)));
  return list;
}

BuildSettings toBuildSettings(const Napi::Object& object) {
  const auto string = [](const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); };
  BuildSettings settings;
  settings.parser = text(object, "parser");
  settings.model = text(object, "model");
  settings.output = text(object, "output");
  settings.computeCapabilities = toList<int>(object.Get("computeCapabilities"), [](const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); });
  settings.fixed = toList<FixedInput>(object.Get("fixed"), [](const Napi::Value& value) {
    const auto input = value.As<Napi::Object>();
    return FixedInput{text(input, "input"), toDims(input.Get("dims"))};
  });
  settings.profiles = toList<Profile>(object.Get("profiles"), [](const Napi::Value& profile) {
    return toList<ProfiledInput>(profile, [](const Napi::Value& value) {
      const auto input = value.As<Napi::Object>();
      return ProfiledInput{text(input, "input"), toDims(input.Get("min")), toDims(input.Get("opt")), toDims(input.Get("max"))};
    });
  });
  settings.flags = toList<std::string>(object.Get("flags"), string);
  settings.hardwareCompatibility = text(object, "hardwareCompatibility");
  settings.profilingVerbosity = text(object, "profilingVerbosity");
  settings.builderOptimizationLevel = toNumber<int>(object, "builderOptimizationLevel");
  settings.maxAuxStreams = toNumber<int>(object, "maxAuxStreams");
  settings.workspace = toNumber<uint64_t>(object, "workspace");
  settings.timingCache = text(object, "timingCache");
  settings.verbose = object.Get("verbose").As<Napi::Boolean>().Value();
  return settings;
}

struct LogLine {
  LogLevel level;
  std::string text;
};

// One build on a thread of its own, since it may take minutes and libuv's threads are few. Its log goes through a thread-safe function
// whose finalizer settles the promise: that runs when all lines before have reached JavaScript, so none is lost.
class BuildTask {
 public:
  static Napi::Promise run(Napi::Env env, const std::string& library, BuildSettings settings, const Napi::Function& log) {
    auto* task = new BuildTask(env);
    const Napi::Promise promise = task->deferred_.Promise();
    task->lines_ = Lines::New(
        env, log, "unplugin-onnx build", 0, 1, task, [](Napi::Env env, void*, BuildTask* ended) { ended->settle(env); }, static_cast<void*>(nullptr));
    task->thread_ = std::thread([task, library, settings = std::move(settings)] { task->work(library, settings); });
    return promise;
  }

 private:
  static void onLine(Napi::Env env, Napi::Function log, BuildTask*, LogLine* raw) {
    const std::unique_ptr<LogLine> line(raw);
    constexpr const char* names[] = {"error", "warning", "info", "phase"};
    if (env != nullptr) log.Call({Napi::String::New(env, names[static_cast<size_t>(line->level)]), Napi::String::New(env, line->text)});
  }

  using Lines = Napi::TypedThreadSafeFunction<BuildTask, LogLine, onLine>;

  explicit BuildTask(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}

  void work(const std::string& library, const BuildSettings& settings) {
    try {
      build(library, settings, [this](LogLevel level, const std::string& line) {
        auto* item = new LogLine{level, line};
        if (lines_.NonBlockingCall(item) != napi_ok) delete item;
      });
    } catch (const std::exception& error) {
      error_ = error.what();
      if (error_.empty()) error_ = "TensorRT gave no reason";
    }
    lines_.Release();
  }

  void settle(Napi::Env env) {
    thread_.join();
    const Napi::HandleScope scope(env);
    if (error_.empty()) deferred_.Resolve(env.Undefined());
    else deferred_.Reject(Napi::Error::New(env, error_).Value());
    delete this;
  }

  Napi::Promise::Deferred deferred_;
  Lines lines_;
  std::thread thread_;
  std::string error_;
};

Napi::Array fromDims(Napi::Env env, const std::vector<int64_t>& dims) {
  const auto array = Napi::Array::New(env, dims.size());
  for (uint32_t i = 0; i < dims.size(); i++) array.Set(i, Napi::Number::New(env, static_cast<double>(dims[i])));
  return array;
}

Napi::Array fromAll(Napi::Env env, const std::vector<std::vector<int64_t>>& all) {
  const auto array = Napi::Array::New(env, all.size());
  for (uint32_t i = 0; i < all.size(); i++) array.Set(i, fromDims(env, all[i]));
  return array;
}

// One per environment.
struct Addon {
  Napi::FunctionReference engine;
};

// A loaded engine in JavaScript. Lifetime rules:
// 1. All methods run on the JavaScript thread of one environment; only `onDone` is called from threads of the engine.
// 2. While an inference is in flight this object references itself, so the garbage collector cannot free it.
// 3. The cleanup hook is registered after the thread-safe function, so it runs before Node frees that one: the engine's destructor waits
//    for its threads, and none calls into a function that is gone. A worker that is terminated in mid-inference gets here.
// 4. `close` moves the engine to libuv's pool, since freeing one waits for the GPU.
class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Value create(Napi::Env env, std::shared_ptr<Engine> engine) {
    const auto object = env.GetInstanceData<Addon>()->engine.New({});
    const auto ports = Napi::Array::New(env, engine->ports().size());
    for (uint32_t i = 0; i < engine->ports().size(); i++) {
      const Port& port = engine->ports()[i];
      auto entry = Napi::Object::New(env);
      entry.Set("name", port.name);
      entry.Set("dtype", port.dtype);
      entry.Set("input", port.input);
      entry.Set("dims", fromDims(env, port.dims));
      ports.Set(i, entry);
    }
    const auto profiles = Napi::Array::New(env, engine->profiles().size());
    for (uint32_t i = 0; i < engine->profiles().size(); i++) {
      auto entry = Napi::Object::New(env);
      entry.Set("min", fromAll(env, engine->profiles()[i].min));
      entry.Set("max", fromAll(env, engine->profiles()[i].max));
      profiles.Set(i, entry);
    }
    object.Set("ports", ports);
    object.Set("profiles", profiles);
    Unwrap(object)->attach(env, std::move(engine));
    return object;
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "TensorRtEngine",
                       {InstanceMethod<&EngineObject::infer>("infer"), InstanceMethod<&EngineObject::cancel>("cancel"),
                        InstanceMethod<&EngineObject::runtimeCache>("runtimeCache"), InstanceMethod<&EngineObject::close>("close")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {}

  ~EngineObject() override { release(); }

 private:
  struct Call {
    EngineObject* owner;
    Napi::Promise::Deferred deferred;
    // Keeps borrowed inputs alive.
    Napi::Reference<Napi::Array> inputs;
    Outcome outcome;
  };

  static void onEnded(Napi::Env env, Napi::Function, std::nullptr_t*, Call* raw) {
    // No environment: it is being torn down, and nobody is left to tell. References die with it.
    const std::unique_ptr<Call> call(raw);
    if (env != nullptr) call->owner->settle(env, *call);
    else call->inputs.SuppressDestruct();
  }

  using Ended = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, onEnded>;

  void attach(Napi::Env env, std::shared_ptr<Engine> engine) {
    engine_ = std::move(engine);
    ended_ = Ended::New(env, "unplugin-onnx inference", 0, 1);
    // Only an inference in flight keeps the process alive, not a loaded model.
    ended_.Unref(env);
    napi_add_env_cleanup_hook(env, onTeardown, this);
    attached_ = true;
  }

  // infer(inputs, borrow): { id, outputs }
  Napi::Value infer(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!engine_) throw Napi::Error::New(env, "the engine is closed");
    const auto inputs = info[0].As<Napi::Array>();
    const bool borrow = info[1].As<Napi::Boolean>().Value();
    std::vector<Tensor> tensors(inputs.Length());
    for (uint32_t i = 0; i < inputs.Length(); i++) {
      const auto input = inputs.Get(i).As<Napi::Object>();
      auto bytes = input.Get("bytes").As<Napi::Uint8Array>();
      Tensor& tensor = tensors[i];
      tensor.bytes = bytes.ByteLength();
      tensor.dims = toDims(input.Get("dims"));
      tensor.data = bytes.Data();
      if (borrow) continue;
      tensor.own.reset(new uint8_t[tensor.bytes]);
      if (tensor.bytes > 0) std::memcpy(tensor.own.get(), bytes.Data(), tensor.bytes);
      tensor.data = tensor.own.get();
    }
    auto* call = new Call{this, Napi::Promise::Deferred::New(env), {}, {}};
    if (borrow) call->inputs = Napi::Persistent(inputs);
    const Napi::Promise promise = call->deferred.Promise();
    Ref();
    if (inFlight_++ == 0) ended_.Ref(env);
    const uint64_t id = engine_->submit(std::move(tensors), [this, call](Outcome outcome) {
      call->outcome = std::move(outcome);
      ended_.NonBlockingCall(call);
    });
    auto result = Napi::Object::New(env);
    result.Set("id", Napi::Number::New(env, static_cast<double>(id)));
    result.Set("outputs", promise);
    return result;
  }

  void settle(Napi::Env env, Call& call) {
    call.inputs.Reset();
    if (--inFlight_ == 0 && attached_) ended_.Unref(env);
    try {
      if (!call.outcome.error.empty()) throw Napi::Error::New(env, call.outcome.error);
      const auto result = Napi::Array::New(env, call.outcome.outputs.size());
      for (uint32_t i = 0; i < call.outcome.outputs.size(); i++) {
        const Tensor& output = call.outcome.outputs[i];
        auto buffer = Napi::ArrayBuffer::New(env, output.bytes);
        if (output.bytes > 0) std::memcpy(buffer.Data(), output.data, output.bytes);
        auto object = Napi::Object::New(env);
        object.Set("buffer", buffer);
        object.Set("dims", fromDims(env, output.dims));
        result.Set(i, object);
      }
      call.deferred.Resolve(result);
    } catch (const Napi::Error& error) {
      call.deferred.Reject(error.Value());
    }
    // Last: this may free `this`.
    Unref();
  }

  void cancel(const Napi::CallbackInfo& info) {
    if (engine_) engine_->cancel(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  }

  // runtimeCache(): Promise<ArrayBuffer>
  Napi::Value runtimeCache(const Napi::CallbackInfo& info) {
    const auto engine = engine_;
    if (!engine) throw Napi::Error::New(info.Env(), "the engine is closed");
    return PromiseWorker<std::vector<char>>::run(
        info.Env(), [engine] { return engine->runtimeCache(); },
        [](Napi::Env env, const std::vector<char>& bytes) {
          auto buffer = Napi::ArrayBuffer::New(env, bytes.size());
          if (!bytes.empty()) std::memcpy(buffer.Data(), bytes.data(), bytes.size());
          return buffer;
        });
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (inFlight_ > 0) throw Napi::Error::New(env, "the engine has inferences in flight");
    if (!engine_) throw Napi::Error::New(env, "the engine is closed");
    // In a box, so that the engine dies on libuv's thread whoever lets go of the box last.
    const auto box = std::make_shared<std::shared_ptr<Engine>>(std::move(engine_));
    release();
    return PromiseWorker<bool>::run(
        env,
        [box] {
          box->reset();
          return true;
        },
        [](Napi::Env env, bool) { return env.Undefined(); });
  }

  void release() {
    if (!attached_) return;
    attached_ = false;
    engine_.reset();
    napi_remove_env_cleanup_hook(Env(), onTeardown, this);
    ended_.Release();
  }

  static void onTeardown(void* data) {
    auto* self = static_cast<EngineObject*>(data);
    self->attached_ = false;
    self->engine_.reset();
  }

  std::shared_ptr<Engine> engine_;
  Ended ended_;
  // Between `attach` and the first of close, teardown and garbage collection.
  bool attached_ = false;
  size_t inFlight_ = 0;
};

// load(library, bytes, settings): Promise<TensorRtEngine>
Napi::Value loadEngine(const Napi::CallbackInfo& info) {
  const std::string library = info[0].As<Napi::String>().Utf8Value();
  auto bytes = info[1].As<Napi::Uint8Array>();
  const auto object = info[2].As<Napi::Object>();
  const int device = object.Get("device").As<Napi::Number>().Int32Value();
  const EngineSettings settings{object.Get("contexts").As<Napi::Number>().Uint32Value(), object.Get("cudaGraph").As<Napi::Boolean>().Value()};
  const auto cached = object.Get("runtimeCache").As<Napi::Uint8Array>();
  const std::vector<char> runtimeCache(cached.Data(), cached.Data() + cached.ByteLength());
  const void* data = bytes.Data();
  const size_t size = bytes.ByteLength();
  // TensorRT has read all of it when the engine is there.
  const auto keep = std::make_shared<Napi::ObjectReference>(Napi::Persistent(bytes.As<Napi::Object>()));
  return PromiseWorker<std::shared_ptr<Engine>>::run(
      info.Env(),
      [library, data, size, device, settings, runtimeCache] {
        auto gpu = openDevice(device);
        gpu->enter();
        auto plan = deserialize(library, data, size, runtimeCache);
        return std::make_shared<Engine>(std::move(gpu), std::move(plan), settings);
      },
      [keep](Napi::Env env, std::shared_ptr<Engine> engine) { return EngineObject::create(env, std::move(engine)); });
}

// versions(library, parser): Promise<{ version, parser }>
Napi::Value versions(const Napi::CallbackInfo& info) {
  const std::string library = info[0].As<Napi::String>().Utf8Value();
  const std::string parser = info[1].As<Napi::String>().Utf8Value();
  return PromiseWorker<Versions>::run(info.Env(), [library, parser] { return versionsOf(library, parser); }, [](Napi::Env env, const Versions& found) {
    auto result = Napi::Object::New(env);
    result.Set("version", found.library);
    result.Set("parser", found.parser);
    return result;
  });
}

// gpus(): Promise<GpuProbe>
Napi::Value gpus(const Napi::CallbackInfo& info) {
  return PromiseWorker<GpuProbe>::run(info.Env(), probeGpus, [](Napi::Env env, const GpuProbe& probe) {
    auto result = Napi::Object::New(env);
    auto list = Napi::Array::New(env, probe.gpus.size());
    for (uint32_t i = 0; i < probe.gpus.size(); i++) {
      const Gpu& gpu = probe.gpus[i];
      auto object = Napi::Object::New(env);
      object.Set("name", gpu.name);
      object.Set("computeCapability", gpu.computeCapability);
      object.Set("multiprocessors", gpu.multiprocessors);
      object.Set("l2Bytes", static_cast<double>(gpu.l2Bytes));
      object.Set("memoryBusBits", gpu.memoryBusBits);
      object.Set("memoryBytes", static_cast<double>(gpu.memoryBytes));
      list.Set(i, object);
    }
    result.Set("reason", probe.reason);
    result.Set("driver", probe.driver);
    result.Set("cuda", probe.cuda);
    result.Set("gpus", list);
    return result;
  });
}

// build(library, settings, log): Promise<void>
Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  const std::string library = info[0].As<Napi::String>().Utf8Value();
  return BuildTask::run(info.Env(), library, toBuildSettings(info[1].As<Napi::Object>()), info[2].As<Napi::Function>());
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  // Node frees it with the environment.
  env.SetInstanceData(new Addon{Napi::Persistent(EngineObject::define(env))});
  exports.Set("load", Napi::Function::New<loadEngine>(env));
  exports.Set("versions", Napi::Function::New<versions>(env));
  exports.Set("gpus", Napi::Function::New<gpus>(env));
  exports.Set("build", Napi::Function::New<buildEngine>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(tensorrt, initialize)

}  // namespace onnx_engine::tensorrt
