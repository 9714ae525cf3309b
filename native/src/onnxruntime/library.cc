#include "library.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>

namespace onnx_engine::onnxruntime {

namespace {

// What the caller of the process wishes; ../../runtime sets the variable where it is not set.
bool wantsTelemetry() {
  const char* disabled = std::getenv("ORT_DISABLE_TELEMETRY");
  return disabled != nullptr && std::strcmp(disabled, "0") == 0;
}

// Whether a release of major version 1 is older than our functions are.
bool isOlder(const std::string& version) {
  int major = 0;
  int minor = 0;
  return std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && major == 1 && minor < ORT_API_VERSION;
}

}  // namespace

const Library& Library::open(const std::string& path) {
  static std::mutex mutex;
  static auto* opened = new std::map<std::string, const Library*>();
  const std::lock_guard<std::mutex> lock(mutex);
  auto& library = (*opened)[path];
  if (library == nullptr) library = new Library(path);
  return *library;
}

Library::Library(const std::string& path) : library_(path) {
  const auto getBase = reinterpret_cast<decltype(&OrtGetApiBase)>(library_.find("OrtGetApiBase"));
  if (getBase == nullptr) throw std::runtime_error(path + " is not ONNX Runtime: it has no OrtGetApiBase");
  const OrtApiBase* base = getBase();
  version_ = base->GetVersionString();
  // Asked for what it does not have, a release prints that to stderr.
  if (!isOlder(version_)) api_ = base->GetApi(ORT_API_VERSION);
  if (api_ == nullptr) {
    const std::string least = "1." + std::to_string(ORT_API_VERSION);
    throw std::runtime_error(path + " is ONNX Runtime " + version_ + ", and " + least + " or newer is needed");
  }
  // Every error reaches the caller as one: it need not be on stderr as well.
  check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "unplugin-onnx", &environment_));
  if (!wantsTelemetry()) check(api_->DisableTelemetryEvents(environment_));
  check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory_));
  check(api_->GetAllocatorWithDefaultOptions(&allocator_));
}

void Library::check(OrtStatus* status) const {
  if (status == nullptr) return;
  const std::string text = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw std::runtime_error(text.empty() ? "ONNX Runtime gave no reason" : text);
}

}  // namespace onnx_engine::onnxruntime
