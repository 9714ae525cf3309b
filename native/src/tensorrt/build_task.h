#pragma once

#include "../napi_setup.h"
#include "builder.h"

#include <thread>

namespace onnx_engine::tensorrt {

// One build on a thread of its own, because it may take minutes and libuv has few threads. Its log goes through a
// thread-safe function whose finalizer settles the promise: the finalizer runs after all lines have reached JavaScript,
// so none is lost.
class BuildTask {
 public:
  static Napi::Promise run(Napi::Env env, const std::string& library, BuildSettings settings,
                           const Napi::Function& log);

 private:
  struct Line {
    LogLevel level;
    std::string text;
  };

  static void onLine(Napi::Env env, Napi::Function log, BuildTask*, Line* raw);
  using Lines = Napi::TypedThreadSafeFunction<BuildTask, Line, onLine>;

  explicit BuildTask(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}

  void work(const std::string& library, const BuildSettings& settings);
  void settle(Napi::Env env);

  Napi::Promise::Deferred deferred_;
  Lines lines_;
  std::thread thread_;
  std::string error_;
};

}  // namespace onnx_engine::tensorrt
