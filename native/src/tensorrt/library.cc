#include "library.h"

#include "../format.h"
#include "flavour.h"

#include <map>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

template <typename Function>
Function find(const SharedLibrary& library, const char* symbol, const std::string& path) {
  void* address = library.find(symbol);
  if (address == nullptr)
    throw std::runtime_error(format("{} is not a {} library: it lacks {}", path, flavour::product, symbol));
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

// Never freed: the libraries stay open too, and two environments of one process (worker_threads) share them.
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

std::string Version::text() const { return format("{}.{}.{}.{}", major, minor, patch, build); }

Version versionOf(const std::string& path) { return askVersion(SharedLibrary(path), path); }

const Library& Library::open(const std::string& path) {
  return openOnce<Library>(path, [&] { return new Library(path); });
}

Library::Library(const std::string& path) : library_(path), version_(askVersion(library_, path)) {
  if (!flavour::hasKnownAbi(version_))
    throw std::runtime_error(format("{} is {} {}, but this addon (" TENSORRT_FAMILY ") is for {}.{}", path,
                                    flavour::product, version_.text(), NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR));
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
