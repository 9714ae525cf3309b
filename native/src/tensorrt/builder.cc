#include "builder.h"

#include "../format.h"
#include "compat.h"
#include "flavour.h"
#include "plugins.h"
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
  std::string node = error.node() < 0 ? "" : "node " + std::to_string(error.node());
  if (!name.empty()) node += " '" + name + "'";
  if (!type.empty()) node += " (" + type + ")";
  return (node.empty() ? "" : node + ": ") + text(error.desc());
}

void parse(nvonnxparser::IParser& parser, const std::string& model, const Logger& logger) {
  const bool parsed = parser.parseFromFile(model.c_str(), static_cast<int>(ILogger::Severity::kWARNING));
  if (parsed && parser.getNbErrors() == 0) return;
  std::string errors;
  for (int i = 0; i < parser.getNbErrors(); i++) errors += (i == 0 ? "" : "\n") + message(*parser.getError(i));
  throw std::runtime_error("the ONNX parser reports: " + (errors.empty() ? logger.errors() : errors));
}

void configure(IBuilderConfig& config, const BuildSettings& settings) {
  flavour::configure(config, settings);
  for (const auto& name : settings.flags) {
    const BuilderFlag flag = flagOf(name);
    config.setFlag(flag);
    // A library that does not know a flag ignores it.
    if (!config.getFlag(flag)) throw std::runtime_error(format("this release does not know the builder flag {}", name));
  }
  config.setProfilingVerbosity(verbosityOf(settings.profilingVerbosity));
  if (settings.builderOptimizationLevel) config.setBuilderOptimizationLevel(*settings.builderOptimizationLevel);
  if (settings.maxAuxStreams) config.setMaxAuxStreams(*settings.maxAuxStreams);
  if (settings.workspace)
    config.setMemoryPoolLimit(MemoryPoolType::kWORKSPACE, static_cast<size_t>(*settings.workspace));
}

// Writes the engine in pieces, as TensorRT makes it.
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

// Logs the builder's phases. Steps within a phase are left out: their numbers are no measure of time.
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

LogSink withoutInfos(const LogSink& log) {
  return [log](LogLevel level, const std::string& line) {
    if (level != LogLevel::info) log(level, line);
  };
}

}  // namespace

void build(const std::string& library, const BuildSettings& settings, const LogSink& log) {
  Logger logger(settings.verbose ? log : withoutInfos(log));
  Phases phases(log);
  const Library& opened = Library::open(library);
  const auto builder = opened.createBuilder(logger);
  loadPlugins(library, settings.plugins);
  const std::unique_ptr<INetworkDefinition> network(compat::createNetwork(*builder));
  if (!network) throw std::runtime_error(logger.errors());
  const auto parser = ParserLibrary::open(settings.parser).create(*network, logger);
  parse(*parser, settings.model, logger);
  fixDims(*network, settings.fixed);
  const std::unique_ptr<IBuilderConfig> config(builder->createBuilderConfig());
  if (!config) throw std::runtime_error(logger.errors());
  configure(*config, settings);
  config->setProgressMonitor(&phases);
  const Build build{*builder, *network, *config, opened.version(), logger};
  addProfiles(build, settings.profiles);
  const auto timings = flavour::openTimingCache(*config, settings.timingCache);

  FileWriter writer(settings.output);
  const bool built = compat::buildToStream(build, writer);
  if (!writer.finish()) throw std::runtime_error("the engine could not be written to " + settings.output);
  if (!built) throw std::runtime_error(logger.errors());
  if (timings) timings->save();
}

Versions versionsOf(const std::string& library, const std::string& parser) {
  return {versionOf(library).text(), parser.empty() ? 0 : ParserLibrary::open(parser).version()};
}

}  // namespace onnx_engine::tensorrt
