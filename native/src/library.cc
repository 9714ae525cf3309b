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
  std::wstring wide(static_cast<size_t>(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0)), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, wide.data(), static_cast<int>(wide.size()));
  return wide;
}

std::string narrow(const wchar_t* text, int size) {
  std::string all(static_cast<size_t>(WideCharToMultiByte(CP_UTF8, 0, text, size, nullptr, 0, nullptr, nullptr)), '\0');
  WideCharToMultiByte(CP_UTF8, 0, text, size, all.data(), static_cast<int>(all.size()), nullptr, nullptr);
  return all;
}

std::string lastError() {
  const DWORD code = GetLastError();
  wchar_t text[512] = {};
  const DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  const DWORD size = FormatMessageW(flags, nullptr, code, 0, text, 512, nullptr);
  return size == 0 ? "error " + std::to_string(code) : narrow(text, static_cast<int>(size));
}

// A bare name is a library of the system, such as the driver's, so only the system folder is searched. With a path, the
// loader also searches the folder of the library for its dependencies. A path of more than 260 characters needs a
// prefix that turns off all parsing.
HMODULE open(const std::string& path) {
  if (path.find_first_of("/\\") == std::string::npos)
    return LoadLibraryExW(widen(path).c_str(), nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32);
  std::wstring wide = widen(path);
  for (auto& letter : wide) letter = letter == L'/' ? L'\\' : letter;
  const bool plain = wide.size() > 2 && wide[1] == L':';
  if (plain && wide.size() >= MAX_PATH) wide.insert(0, L"\\\\?\\");
  return LoadLibraryExW(wide.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
}

}  // namespace

SharedLibrary::SharedLibrary(const std::string& path) : handle_(open(path)) {
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
