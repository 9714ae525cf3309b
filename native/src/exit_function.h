#pragma once

#include "exit_gate.h"
#include "napi_setup.h"

namespace onnx_engine {

// exit(milliseconds): boolean. See ExitGate::close; it blocks the JavaScript thread, which is what an exit needs.
inline Napi::Value exitFunction(const Napi::CallbackInfo& info) {
  const auto limit = std::chrono::milliseconds(info[0].As<Napi::Number>().Int64Value());
  return Napi::Boolean::New(info.Env(), ExitGate::close(limit));
}

}  // namespace onnx_engine
