#include "library.h"

#include <stdexcept>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace onnx_engine {

#ifdef _WIN32

namespace {

std::wstring widen(const std::string& text) {
  const int size = static_cast<int>(text.size());
  std::wstring wide(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, wide.data(), static_cast<int>(wide.size()));
  return wide;
}

std::string lastError() {
  const DWORD code = GetLastError();
  char text[512] = {};
  const DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  const DWORD size = FormatMessageA(flags, nullptr, code, 0, text, sizeof(text), nullptr);
  return size == 0 ? "error " + std::to_string(code) : std::string(text, size);
}

}  // namespace

SharedLibrary::SharedLibrary(const std::string& path)
    // The altered search path finds the libraries that lie beside this one.
    : handle_(LoadLibraryExW(widen(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH)) {
  if (handle_ == nullptr) throw std::runtime_error(path + ": " + lastError());
}

void* SharedLibrary::find(const char* symbol) const {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle_), symbol));
}

#else

SharedLibrary::SharedLibrary(const std::string& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const char* reason = dlerror();
  throw std::runtime_error(reason == nullptr ? path + ": cannot be opened" : reason);
}

void* SharedLibrary::find(const char* symbol) const { return dlsym(handle_, symbol); }

#endif

}  // namespace onnx_engine
