#include "build_task.h"

#include "../exit_gate.h"

#include <stdexcept>
#include <system_error>

namespace onnx_engine::tensorrt {

Napi::Promise BuildTask::run(Napi::Env env, const std::string& library, BuildSettings settings,
                             const Napi::Function& log) {
  auto* task = new BuildTask(env);
  const Napi::Promise promise = task->deferred_.Promise();
  task->lines_ = Lines::New(
      env, log, "unplugin-onnx build", 0, 1, task,
      [](Napi::Env env, void*, BuildTask* finished) { finished->settle(env); }, static_cast<void*>(nullptr));
  try {
    task->thread_ = std::thread([task, library, settings = std::move(settings)] { task->work(library, settings); });
  } catch (const std::system_error& error) {
    task->error_ = error.what();
    task->lines_.Release();
  }
  return promise;
}

void BuildTask::onLine(Napi::Env env, Napi::Function log, BuildTask*, Line* raw) {
  const std::unique_ptr<Line> line(raw);
  constexpr const char* names[] = {"error", "warning", "info", "phase"};
  if (env != nullptr)
    log.Call({Napi::String::New(env, names[static_cast<size_t>(line->level)]), Napi::String::New(env, line->text)});
}

void BuildTask::work(const std::string& library, const BuildSettings& settings) {
  try {
    const ExitGate::Pass pass;
    build(library, settings, [this](LogLevel level, const std::string& text) {
      auto* line = new Line{level, text};
      if (lines_.NonBlockingCall(line) != napi_ok) delete line;
    });
  } catch (const std::exception& error) {
    error_ = error.what();
    if (error_.empty()) error_ = "TensorRT gave no reason";
  }
  lines_.Release();
}

void BuildTask::settle(Napi::Env env) {
  if (thread_.joinable()) thread_.join();
  const Napi::HandleScope scope(env);
  if (error_.empty())
    deferred_.Resolve(env.Undefined());
  else
    deferred_.Reject(Napi::Error::New(env, error_).Value());
  delete this;
}

}  // namespace onnx_engine::tensorrt
