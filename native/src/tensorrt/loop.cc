// The yardstick of `npm run test:gpu`: one engine on TensorRT-RTX's and CUDA's own functions in a plain loop, as a C++
// program would call them. Usage: tensorrt_loop <library> <engine> <graph: 0 or 1> <iterations> <dim>... The engine has
// one input, of float32, that takes these dims, and outputs of 4-byte elements. Prints the median in milliseconds.
#include "dims.h"
#include "driver.h"
#include "library.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
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

// What a call of infer() does: copies the inputs, computes, copies the outputs.
double measure(int argc, char** argv) {
  const Driver& driver = Driver::open();
  CUdevice device{};
  driver.check(driver.cuDeviceGet(&device, 0), "cuDeviceGet");
  CUcontext context = nullptr;
  driver.check(driver.cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  driver.check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  CUstream stream = nullptr;
  driver.check(driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");

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
  std::vector<Buffer> buffers;
  for (int32_t i = 0; i < engine->getNbIOTensors(); i++) {
    const char* name = engine->getIOTensorName(i);
    const bool input = engine->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
    if (input) require(execution->setInputShape(name, toDims(dims)), logger, "setInputShape");
    buffers.push_back({name, input, {}});
  }
  require(execution->inferShapes(0, nullptr) == 0, logger, "inferShapes");
  for (auto& buffer : buffers) {
    buffer.values.resize(bytesOf(execution->getTensorShape(buffer.name.c_str())));
    driver.check(driver.cuMemAlloc(&buffer.onDevice, buffer.values.size()), "cuMemAlloc");
    driver.check(driver.cuMemAllocHost(&buffer.pinned, buffer.values.size()), "cuMemAllocHost");
    require(execution->setTensorAddress(buffer.name.c_str(), reinterpret_cast<void*>(buffer.onDevice)), logger,
            "setTensorAddress");
  }

  const auto enqueue = [&] {
    for (const auto& buffer : buffers) {
      if (buffer.input)
        driver.check(driver.cuMemcpyHtoDAsync(buffer.onDevice, buffer.pinned, buffer.values.size(), stream),
                     "cuMemcpyHtoDAsync");
    }
    require(execution->enqueueV3(stream), logger, "enqueueV3");
    for (const auto& buffer : buffers) {
      if (!buffer.input)
        driver.check(driver.cuMemcpyDtoHAsync(buffer.pinned, buffer.onDevice, buffer.values.size(), stream),
                     "cuMemcpyDtoHAsync");
    }
  };
  CUgraphExec graph = nullptr;
  if (std::atoi(argv[3]) == 1) {
    enqueue();
    driver.check(driver.cuStreamSynchronize(stream), "cuStreamSynchronize");
    CUgraph recorded = nullptr;
    driver.check(driver.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture");
    enqueue();
    driver.check(driver.cuStreamEndCapture(stream, &recorded), "cuStreamEndCapture");
    driver.check(driver.cuGraphInstantiateWithFlags(&graph, recorded, 0), "cuGraphInstantiateWithFlags");
  }

  std::vector<double> times(static_cast<size_t>(std::atoi(argv[4])));
  for (auto& time : times) {
    const auto start = std::chrono::steady_clock::now();
    for (const auto& buffer : buffers) {
      if (buffer.input) std::memcpy(buffer.pinned, buffer.values.data(), buffer.values.size());
    }
    if (graph != nullptr)
      driver.check(driver.cuGraphLaunch(graph, stream), "cuGraphLaunch");
    else
      enqueue();
    driver.check(driver.cuStreamSynchronize(stream), "cuStreamSynchronize");
    for (auto& buffer : buffers) {
      if (!buffer.input) std::memcpy(buffer.values.data(), buffer.pinned, buffer.values.size());
    }
    time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  // The process ends after this, and its memory and stream with it.
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
