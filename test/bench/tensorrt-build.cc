// What a C++ program does to build one TensorRT-RTX engine, with the same calls as our builder and nothing around them:
// tensorrt-build <library> <parser> <model.onnx> <engine> <input> <dims> <compute capability>...   Dims are written as
// 1x3x640x640. And a way to measure memory: tensorrt-build peak <command>...   Prints the kibibytes that the largest of
// its processes held (ru_maxrss).
#include <initializer_list>

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

class Logger : public nvinfer1::ILogger {
  void log(Severity severity, const char* text) noexcept override {
    if (severity <= Severity::kERROR) std::fprintf(stderr, "%s\n", text);
  }
} logger;

class FileWriter : public nvinfer1::IStreamWriter {
 public:
  explicit FileWriter(const char* path) : file_(path, std::ios::binary) {}
  int64_t write(const void* data, int64_t bytes) override {
    file_.write(static_cast<const char*>(data), bytes);
    return file_ ? bytes : -1;
  }

 private:
  std::ofstream file_;
};

template <typename Function>
Function* symbol(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  void* found = handle == nullptr ? nullptr : dlsym(handle, name);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return reinterpret_cast<Function*>(found);
}

template <typename T>
std::unique_ptr<T> owned(T* made) {
  if (made == nullptr) throw std::runtime_error("TensorRT-RTX gave no object");
  return std::unique_ptr<T>(made);
}

nvinfer1::Dims toDims(const char* text) {
  nvinfer1::Dims dims{};
  for (char* rest = const_cast<char*>(text); *rest != '\0'; rest += *rest == 'x') dims.d[dims.nbDims++] = std::strtoll(rest, &rest, 10);
  return dims;
}

void build(int count, char** arguments) {
  using namespace nvinfer1;
  const char* model = arguments[3];
  const auto builder = owned(static_cast<IBuilder*>(symbol<void*(void*, int)>(arguments[1], "createInferBuilder_INTERNAL")(&logger, NV_TENSORRT_VERSION)));
  const auto network = owned(builder->createNetworkV2(0));
  const auto parser = owned(static_cast<nvonnxparser::IParser*>(symbol<void*(void*, void*, int)>(arguments[2], "createNvOnnxParser_INTERNAL")(network.get(), &logger, NV_TENSORRT_VERSION)));
  if (!parser->parseFromFile(model, static_cast<int>(ILogger::Severity::kWARNING))) throw std::runtime_error(std::string(model) + " cannot be parsed");
  for (int i = 0; i < network->getNbInputs(); i++) {
    if (std::strcmp(network->getInput(i)->getName(), arguments[5]) == 0) network->getInput(i)->setDimensions(toDims(arguments[6]));
  }
  const auto config = owned(builder->createBuilderConfig());
  config->setNbComputeCapabilities(count - 7);
  for (int i = 7; i < count; i++) config->setComputeCapability(static_cast<ComputeCapability>(std::atoi(arguments[i])), i - 7);
  FileWriter writer(arguments[4]);
  if (!builder->buildSerializedNetworkToStream(*network, *config, writer)) throw std::runtime_error(std::string(model) + " cannot be built");
}

// Those of the command, and of what it has started and waited for.
void printPeak(char** command) {
  const pid_t child = fork();
  if (child == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error(std::string(command[0]) + " failed");
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  std::printf("%ld\n", used.ru_maxrss);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count > 2 && std::strcmp(arguments[1], "peak") == 0) printPeak(arguments + 2);
    else if (count >= 8) build(count, arguments);
    else throw std::runtime_error("tensorrt-build <library> <parser> <model> <engine> <input> <dims> <compute capability>...");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
