// The reference of `npm run test:gpu`: runs one engine in a plain loop on TensorRT's and CUDA's own functions, as a C++
// program would. Prints the median in milliseconds. There is one program for each ABI family that the tests run.
// Usage: tensorrt_11_plain_loop <library> <engine> <graph: 0 or 1> <iterations> <dim>...
// The engine has one float32 input, which gets these dims, and outputs of 4-byte elements.
#include "../dims.h"
#include "../driver.h"
#include "../library.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

using namespace onnx_engine::tensorrt;

namespace {

struct Buffer {
  std::string name;
  bool input;
  std::vector<char> values;
  CUdeviceptr onDevice = 0;
  void* pinned = nullptr;
};

size_t bytesOf(const nvinfer1::Dims& dims) {
  size_t size = sizeof(float);
  for (const int64_t dim : fromDims(dims)) size *= static_cast<size_t>(dim);
  return size;
}

void require(bool taken, Logger& logger, const char* call) {
  if (!taken) throw std::runtime_error(std::string(call) + ": " + logger.take());
}

// The stream and the driver's functions.
struct Gpu {
  Gpu() : driver(Driver::open()) {
    CUdevice device{};
    driver.check(driver.cuDeviceGet(&device, 0), "cuDeviceGet");
    CUcontext context = nullptr;
    driver.check(driver.cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    driver.check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    driver.check(driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  }

  const Driver& driver;
  CUstream stream = nullptr;
};

// Sets the dims of the inputs, and allocates all buffers.
std::vector<Buffer> bindBuffers(const Gpu& gpu, nvinfer1::IExecutionContext& execution,
                                const std::vector<int64_t>& dims, Logger& logger) {
  const nvinfer1::ICudaEngine& engine = execution.getEngine();
  std::vector<Buffer> buffers;
  for (int32_t i = 0; i < engine.getNbIOTensors(); i++) {
    const char* name = engine.getIOTensorName(i);
    const bool input = engine.getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
    if (input) require(execution.setInputShape(name, toDims(dims)), logger, "setInputShape");
    buffers.push_back({name, input, {}});
  }
  require(execution.inferShapes(0, nullptr) == 0, logger, "inferShapes");
  const Driver& driver = gpu.driver;
  for (auto& buffer : buffers) {
    buffer.values.resize(bytesOf(execution.getTensorShape(buffer.name.c_str())));
    driver.check(driver.cuMemAlloc(&buffer.onDevice, buffer.values.size()), "cuMemAlloc");
    driver.check(driver.cuMemAllocHost(&buffer.pinned, buffer.values.size()), "cuMemAllocHost");
    require(execution.setTensorAddress(buffer.name.c_str(), reinterpret_cast<void*>(buffer.onDevice)), logger,
            "setTensorAddress");
  }
  return buffers;
}

// Copies the inputs to the GPU, computes, copies the outputs back.
void enqueue(const Gpu& gpu, nvinfer1::IExecutionContext& execution, const std::vector<Buffer>& buffers,
             Logger& logger) {
  const auto& [driver, stream] = gpu;
  for (const auto& buffer : buffers) {
    if (buffer.input)
      driver.check(driver.cuMemcpyHtoDAsync(buffer.onDevice, buffer.pinned, buffer.values.size(), stream),
                   "cuMemcpyHtoDAsync");
  }
  require(execution.enqueueV3(stream), logger, "enqueueV3");
  for (const auto& buffer : buffers) {
    if (!buffer.input)
      driver.check(driver.cuMemcpyDtoHAsync(buffer.pinned, buffer.onDevice, buffer.values.size(), stream),
                   "cuMemcpyDtoHAsync");
  }
}

CUgraphExec capture(const Gpu& gpu, const std::function<void()>& work) {
  const auto& [driver, stream] = gpu;
  // TensorRT prepares lazily, so the first run is not captured.
  work();
  driver.check(driver.cuStreamSynchronize(stream), "cuStreamSynchronize");
  CUgraph captured = nullptr;
  driver.check(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture");
  work();
  driver.check(driver.cuStreamEndCapture(stream, &captured), "cuStreamEndCapture");
  CUgraphExec graph = nullptr;
  driver.check(driver.cuGraphInstantiateWithFlags(&graph, captured, 0), "cuGraphInstantiateWithFlags");
  return graph;
}

// Does what a call of infer() does, and returns its time in milliseconds.
double timeOf(const Gpu& gpu, std::vector<Buffer>& buffers, const std::function<void()>& launch) {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& buffer : buffers) {
    if (buffer.input) std::memcpy(buffer.pinned, buffer.values.data(), buffer.values.size());
  }
  launch();
  gpu.driver.check(gpu.driver.cuStreamSynchronize(gpu.stream), "cuStreamSynchronize");
  for (auto& buffer : buffers) {
    if (!buffer.input) std::memcpy(buffer.values.data(), buffer.pinned, buffer.values.size());
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double measure(int argc, char** argv) {
  const Gpu gpu;
  std::ifstream file(std::filesystem::u8path(argv[2]), std::ios::binary);
  const std::string plan(std::istreambuf_iterator<char>(file), {});
  Logger logger;
  const auto runtime = Library::open(argv[1]).createRuntime(logger);
  const std::unique_ptr<nvinfer1::ICudaEngine> engine(runtime->deserializeCudaEngine(plan.data(), plan.size()));
  require(engine != nullptr, logger, "deserializeCudaEngine");
  const std::unique_ptr<nvinfer1::IExecutionContext> execution(engine->createExecutionContext());
  require(execution != nullptr, logger, "createExecutionContext");

  std::vector<int64_t> dims;
  for (int i = 5; i < argc; i++) dims.push_back(std::atoll(argv[i]));
  auto buffers = bindBuffers(gpu, *execution, dims, logger);
  const auto run = [&] { enqueue(gpu, *execution, buffers, logger); };
  std::function<void()> launch = run;
  if (std::atoi(argv[3]) == 1)
    launch = [&, graph = capture(gpu, run)] {
      gpu.driver.check(gpu.driver.cuGraphLaunch(graph, gpu.stream), "cuGraphLaunch");
    };

  std::vector<double> times(static_cast<size_t>(std::atoi(argv[4])));
  for (auto& time : times) time = timeOf(gpu, buffers, launch);
  // The system frees memory and stream: the process ends now.
  std::sort(times.begin(), times.end());
  return times.at(times.size() / 2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  try {
    std::printf("%.4f\n", measure(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
