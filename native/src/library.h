#pragma once

#include <string>

namespace onnx_engine {

// A shared library of the user, opened by path. It is never closed: engine libraries keep threads and thread-local
// state of their own, and unmapping their code under them crashed every one that was tried.
//
// This is the only place with calls of an operating system. libuv's uv_dlopen would do, but Node-API promises no libuv
// symbol, on Windows the import library of Node-API has none, and the test binaries run without Node.
class SharedLibrary {
 public:
  // `path` is UTF-8. Throws std::runtime_error with the loader's own text.
  explicit SharedLibrary(const std::string& path);

  // The address of a symbol, or null when the library has none such. Any thread.
  void* find(const char* symbol) const;

 private:
  void* handle_;
};

}  // namespace onnx_engine
