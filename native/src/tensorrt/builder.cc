#include "builder.h"

#include "library.h"
#include "profiles.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

using namespace nvinfer1;

constexpr struct {
  const char* name;
  BuilderFlag flag;
} flags[] = {
    {"REFIT", BuilderFlag::kREFIT},
    {"REFIT_IDENTICAL", BuilderFlag::kREFIT_IDENTICAL},
    {"STRIP_PLAN", BuilderFlag::kSTRIP_PLAN},
    {"VERSION_COMPATIBLE", BuilderFlag::kVERSION_COMPATIBLE},
};

BuilderFlag flagOf(const std::string& name) {
  for (const auto& known : flags) {
    if (name == known.name) return known.flag;
  }
  throw std::runtime_error("unknown builder flag " + name);
}

ProfilingVerbosity verbosityOf(const std::string& name) {
  if (name == "none") return ProfilingVerbosity::kNONE;
  return name == "detailed" ? ProfilingVerbosity::kDETAILED : ProfilingVerbosity::kLAYER_NAMES_ONLY;
}

std::string message(const nvonnxparser::IParserError& error) {
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  const std::string name = text(error.nodeName());
  const std::string type = text(error.nodeOperator());
  // Errors outside nodes have number -1.
  std::string where = error.node() < 0 ? "" : "node " + std::to_string(error.node());
  if (!name.empty()) where += " '" + name + "'";
  if (!type.empty()) where += " (" + type + ")";
  return (where.empty() ? "" : where + ": ") + text(error.desc());
}

void parse(nvonnxparser::IParser& parser, const std::string& model, const Logger& logger) {
  const bool parsed = parser.parseFromFile(model.c_str(), static_cast<int>(ILogger::Severity::kWARNING));
  if (parsed && parser.getNbErrors() == 0) return;
  std::string all;
  for (int i = 0; i < parser.getNbErrors(); i++) all += (i == 0 ? "" : "\n") + message(*parser.getError(i));
  throw std::runtime_error("the ONNX parser says: " + (all.empty() ? logger.errors() : all));
}

void setTargets(IBuilderConfig& config, const std::vector<int>& computeCapabilities) {
#ifdef TENSORRT_RTX
  if (computeCapabilities.empty()) throw std::runtime_error("TensorRT-RTX needs at least one compute capability");
  const auto count = static_cast<int32_t>(computeCapabilities.size());
  bool taken = config.setNbComputeCapabilities(count);
  for (int32_t i = 0; taken && i < count; i++) {
    taken = config.setComputeCapability(static_cast<ComputeCapability>(computeCapabilities[static_cast<size_t>(i)]), i);
    if (!taken)
      throw std::runtime_error("compute capability " + std::to_string(computeCapabilities[static_cast<size_t>(i)]) +
                               " is not a target of this TensorRT-RTX");
  }
#else
  (void)config;
  if (!computeCapabilities.empty()) throw std::runtime_error("TensorRT builds for the GPU at hand only");
#endif
}

#ifndef TENSORRT_RTX
HardwareCompatibilityLevel compatibilityOf(const std::string& name) {
  if (name == "ampere+") return HardwareCompatibilityLevel::kAMPERE_PLUS;
  return name == "same-compute-capability" ? HardwareCompatibilityLevel::kSAME_COMPUTE_CAPABILITY
                                           : HardwareCompatibilityLevel::kNONE;
}

std::vector<char> readAll(const std::string& path) {
  std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Kernel timings of earlier builds. TensorRT only: in TensorRT-RTX the mere creation of one asks for a GPU. The caller
// holds the lock of the file; one that does not fit this GPU or release is refused by TensorRT and started anew.
class TimingCache {
 public:
  TimingCache(IBuilderConfig& config, const std::string& path) : path_(path) {
    if (path_.empty()) return;
    const auto bytes = readAll(path_);
    cache_.reset(config.createTimingCache(bytes.data(), bytes.size()));
    if (!cache_ || !config.setTimingCache(*cache_, false)) {
      cache_.reset(config.createTimingCache(nullptr, 0));
      if (cache_) config.setTimingCache(*cache_, false);
    }
  }

  void save() const {
    if (!cache_) return;
    const std::unique_ptr<IHostMemory> bytes(cache_->serialize());
    if (!bytes) return;
    const auto temporary = std::filesystem::u8path(path_ + ".tmp");
    std::ofstream(temporary, std::ios::binary)
        .write(static_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
    std::filesystem::rename(temporary, std::filesystem::u8path(path_));
  }

 private:
  std::string path_;
  std::unique_ptr<ITimingCache> cache_;
};
#endif

void configure(IBuilderConfig& config, const BuildSettings& settings) {
  setTargets(config, settings.computeCapabilities);
  for (const auto& name : settings.flags) config.setFlag(flagOf(name));
  config.setProfilingVerbosity(verbosityOf(settings.profilingVerbosity));
  if (settings.builderOptimizationLevel) config.setBuilderOptimizationLevel(*settings.builderOptimizationLevel);
  if (settings.maxAuxStreams) config.setMaxAuxStreams(*settings.maxAuxStreams);
  if (settings.workspace)
    config.setMemoryPoolLimit(MemoryPoolType::kWORKSPACE, static_cast<size_t>(*settings.workspace));
#ifndef TENSORRT_RTX
  config.setHardwareCompatibilityLevel(compatibilityOf(settings.hardwareCompatibility));
#endif
}

// Takes the engine in pieces, as TensorRT makes it.
class FileWriter : public IStreamWriter {
 public:
  explicit FileWriter(const std::string& path)
      : file_(std::filesystem::u8path(path), std::ios::binary | std::ios::trunc) {}

  int64_t write(const void* data, int64_t bytes) override {
    file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    return file_ ? bytes : -1;
  }

  // Whether every byte has reached the system.
  bool finish() {
    file_.close();
    return !file_.fail();
  }

 private:
  std::ofstream file_;
};

// Tells the phase that the builder is in. Its steps are left out: their numbers say nothing about time.
class Phases : public IProgressMonitor {
 public:
  explicit Phases(const LogSink& log) : log_(log) {}

  void phaseStart(const char* name, const char*, int32_t) noexcept override {
    try {
      log_(LogLevel::phase, name);
    } catch (...) {
      // Out of memory: a lost line must not end the process from inside TensorRT.
    }
  }

  bool stepComplete(const char*, int32_t) noexcept override { return true; }

  void phaseFinish(const char*) noexcept override {}

 private:
  const LogSink& log_;
};

LogSink quietly(const LogSink& log) {
  return [log](LogLevel level, const std::string& line) {
    if (level != LogLevel::info) log(level, line);
  };
}

}  // namespace

void build(const std::string& library, const BuildSettings& settings, const LogSink& log) {
  Logger logger(settings.verbose ? log : quietly(log));
  Phases phases(log);
  const auto builder = Library::open(library).createBuilder(logger);
  const std::unique_ptr<INetworkDefinition> network(builder->createNetworkV2(0));
  if (!network) throw std::runtime_error(logger.errors());
  const auto parser = ParserLibrary::open(settings.parser).create(*network, logger);
  parse(*parser, settings.model, logger);
  fixDims(*network, settings.fixed);
  const std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
  if (!config) throw std::runtime_error(logger.errors());
  configure(*config, settings);
  config->setProgressMonitor(&phases);
  addProfiles(*builder, *network, *config, settings.profiles, logger);
#ifndef TENSORRT_RTX
  const TimingCache timings(*config, settings.timingCache);
#endif

  FileWriter writer(settings.output);
  const bool built = builder->buildSerializedNetworkToStream(*network, *config, writer);
  if (!writer.finish()) throw std::runtime_error("the engine could not be written to " + settings.output);
  if (!built) throw std::runtime_error(logger.errors());
#ifndef TENSORRT_RTX
  timings.save();
#endif
}

Versions versionsOf(const std::string& library, const std::string& parser) {
  return {versionOf(library).text(), parser.empty() ? 0 : ParserLibrary::open(parser).version()};
}

}  // namespace onnx_engine::tensorrt
