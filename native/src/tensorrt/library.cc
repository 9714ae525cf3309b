#include "library.h"

#include <map>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

#ifdef TENSORRT_RTX
constexpr const char* product = "TensorRT-RTX";
#else
constexpr const char* product = "TensorRT";
#endif

template <typename Function>
Function find(const SharedLibrary& library, const char* symbol, const std::string& path) {
  void* address = library.find(symbol);
  if (address == nullptr) throw std::runtime_error(path + " is not a " + product + " library: it lacks " + symbol);
  return reinterpret_cast<Function>(address);
}

Version askVersion(const SharedLibrary& library, const std::string& path) {
  const auto ask = [&](const char* symbol) { return static_cast<int>(find<int32_t (*)()>(library, symbol, path)()); };
  return {ask("getInferLibMajorVersion"), ask("getInferLibMinorVersion"), ask("getInferLibPatchVersion"),
          ask("getInferLibBuildVersion")};
}

template <typename T>
std::unique_ptr<T> created(void* object, const Logger& logger) {
  if (object == nullptr) throw std::runtime_error(logger.errors());
  return std::unique_ptr<T>(static_cast<T*>(object));
}

// Objects are never freed: the libraries are not closed either, and two environments of one process (worker_threads)
// share them.
template <typename T, typename Make>
const T& openOnce(const std::string& path, Make make) {
  static std::mutex mutex;
  static auto* opened = new std::map<std::string, const T*>();
  const std::lock_guard<std::mutex> lock(mutex);
  auto& entry = (*opened)[path];
  if (entry == nullptr) entry = make();
  return *entry;
}

}  // namespace

std::string Version::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch) + "." +
         std::to_string(build);
}

Version versionOf(const std::string& path) { return askVersion(SharedLibrary(path), path); }

const Library& Library::open(const std::string& path) {
  return openOnce<Library>(path, [&] { return new Library(path); });
}

Library::Library(const std::string& path) : library_(path), version_(askVersion(library_, path)) {
  // TensorRT keeps its ABI within a major version and only adds to it; TensorRT-RTX changes it from one minor version
  // to the next.
#ifdef TENSORRT_RTX
  const bool known = version_.major == NV_TENSORRT_MAJOR && version_.minor == NV_TENSORRT_MINOR;
#else
  const bool known = version_.major == NV_TENSORRT_MAJOR && version_.minor >= NV_TENSORRT_MINOR;
#endif
  if (!known) {
    const std::string family = std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR);
    throw std::runtime_error(path + " is " + product + " " + version_.text() +
                             ", but this addon (" TENSORRT_FAMILY ") is for " + family);
  }
  createBuilder_ = find<decltype(createBuilder_)>(library_, "createInferBuilder_INTERNAL", path);
  createRuntime_ = find<decltype(createRuntime_)>(library_, "createInferRuntime_INTERNAL", path);
}

std::unique_ptr<nvinfer1::IBuilder> Library::createBuilder(Logger& logger) const {
  return created<nvinfer1::IBuilder>(createBuilder_(&logger, NV_TENSORRT_VERSION), logger);
}

std::unique_ptr<nvinfer1::IRuntime> Library::createRuntime(Logger& logger) const {
  return created<nvinfer1::IRuntime>(createRuntime_(&logger, NV_TENSORRT_VERSION), logger);
}

const ParserLibrary& ParserLibrary::open(const std::string& path) {
  return openOnce<ParserLibrary>(path, [&] { return new ParserLibrary(path); });
}

ParserLibrary::ParserLibrary(const std::string& path)
    : library_(path),
      version_(find<int (*)()>(library_, "getNvOnnxParserVersion", path)()),
      create_(find<decltype(create_)>(library_, "createNvOnnxParser_INTERNAL", path)) {}

std::unique_ptr<nvonnxparser::IParser> ParserLibrary::create(nvinfer1::INetworkDefinition& network,
                                                             Logger& logger) const {
  return created<nvonnxparser::IParser>(create_(&network, &logger, NV_ONNX_PARSER_VERSION), logger);
}

}  // namespace onnx_engine::tensorrt
