#include "library.h"

#include "../format.h"
#include "flavour.h"
#include "plugins.h"

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
  // After a failure some releases, 10.15 and 11.2 among them, return null plus the offset of a base class.
  constexpr uintptr_t firstPage = 4096;
  if (reinterpret_cast<uintptr_t>(object) < firstPage) throw std::runtime_error(logger.errors());
  return std::unique_ptr<T>(static_cast<T*>(object));
}

// Plugins keep the logger for as long as the library is open, which is until the process ends.
class PluginLibrary {
 public:
  explicit PluginLibrary(const std::string& path);

 private:
  SharedLibrary library_;
  Logger logger_;
};

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

Version versionOf(const std::string& path) { return askVersion(SharedLibrary(path), path); }

const Library& Library::open(const std::string& path) {
  return openOnce<Library>(path, [&] { return new Library(path); });
}

Library::Library(const std::string& path) : library_(path), version_(askVersion(library_, path)) {
  if (!flavour::hasKnownAbi(version_))
    throw std::runtime_error(format("{} is {} {}, but this addon (" TENSORRT_FAMILY ") is for {}", path,
                                    flavour::product, version_.text(), flavour::knownVersions()));
  createBuilder_ = find<decltype(createBuilder_)>(library_, "createInferBuilder_INTERNAL", path);
  createRuntime_ = find<decltype(createRuntime_)>(library_, "createInferRuntime_INTERNAL", path);
}

std::unique_ptr<nvinfer1::IBuilder> Library::createBuilder(Logger& logger) const {
  flavour::requireGpu();
  return created<nvinfer1::IBuilder>(createBuilder_(&logger, version_.number()), logger);
}

std::unique_ptr<nvinfer1::IRuntime> Library::createRuntime(Logger& logger) const {
  flavour::requireGpu();
  return created<nvinfer1::IRuntime>(createRuntime_(&logger, version_.number()), logger);
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
  return created<nvonnxparser::IParser>(create_(&network, &logger, version_), logger);
}

PluginLibrary::PluginLibrary(const std::string& path) : library_(path) {
  using Register = bool (*)(void*, const char*);
  const auto registerAll = find<Register>(library_, "initLibNvInferPlugins", path);
  if (!registerAll(&logger_, "")) throw std::runtime_error(format("{}: {}", path, logger_.take()));
}

void loadPlugins(const std::string& library, const std::string& path) {
  if (path.empty()) return;
  // The plugin library needs the other one, which the loader finds by its name because it is open.
  Library::open(library);
  openOnce<PluginLibrary>(path, [&] { return new PluginLibrary(path); });
}

}  // namespace onnx_engine::tensorrt
