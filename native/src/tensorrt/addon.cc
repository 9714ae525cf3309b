#include "../promise_worker.h"
#include "builder.h"
#include "probe.h"

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
    constexpr const char* names[] = {"error", "warning", "info"};
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
  exports.Set("versions", Napi::Function::New<versions>(env));
  exports.Set("gpus", Napi::Function::New<gpus>(env));
  exports.Set("build", Napi::Function::New<buildEngine>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(tensorrt, initialize)

}  // namespace onnx_engine::tensorrt
