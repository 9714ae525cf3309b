#pragma once

#include <string>

namespace onnx_engine {

// A shared library of the user, opened by path. It is never closed: engine libraries have threads and thread-local
// state of their own, and each one that we tried crashed when it was unmapped.
//
// This is the only place that calls the operating system. We do not use libuv's uv_dlopen: Node-API promises no libuv
// symbols, its import library for Windows has none, and the test binaries run without Node.
class SharedLibrary {
 public:
  // `path` is UTF-8. Throws std::runtime_error with the loader's own text.
  explicit SharedLibrary(const std::string& path);

  // The address of a symbol, or null when the library does not have it. Any thread.
  void* find(const char* symbol) const;

 private:
  void* handle_;
};

}  // namespace onnx_engine
