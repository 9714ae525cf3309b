#include "cuda_device.h"

#include "../format.h"
#include "driver.h"

#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

CUdeviceptr toDevice(const void* memory) { return reinterpret_cast<CUdeviceptr>(memory); }

class CudaDevice : public Device {
 public:
  explicit CudaDevice(int index) : driver_(Driver::open()) {
    int count = 0;
    driver_.check(driver_.cuDeviceGetCount(&count), "cuDeviceGetCount");
    if (index >= count) throw std::runtime_error(format("there is no GPU {}: the driver finds {}", index, count));
    driver_.check(driver_.cuDeviceGet(&device_, index), "cuDeviceGet");
    driver_.check(driver_.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  }

  ~CudaDevice() override { driver_.cuDevicePrimaryCtxRelease(device_); }

  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  void enter() override { driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent"); }

  void* allocate(size_t bytes) override {
    CUdeviceptr memory = 0;
    const std::string call = format("cuMemAlloc of {} bytes", bytes);
    driver_.check(driver_.cuMemAlloc(&memory, bytes), call.c_str());
    return reinterpret_cast<void*>(memory);
  }

  void free(void* memory) noexcept override { driver_.cuMemFree(toDevice(memory)); }

  void* allocatePinned(size_t bytes) override {
    void* memory = nullptr;
    const std::string call = format("cuMemAllocHost of {} bytes", bytes);
    driver_.check(driver_.cuMemAllocHost(&memory, bytes), call.c_str());
    return memory;
  }

  void freePinned(void* memory) noexcept override { driver_.cuMemFreeHost(memory); }

  Stream createStream() override {
    CUstream stream = nullptr;
    driver_.check(driver_.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    return stream;
  }

  void destroyStream(Stream stream) noexcept override { driver_.cuStreamDestroy(static_cast<CUstream>(stream)); }

  void upload(void* device, const void* host, size_t bytes, Stream stream) override {
    driver_.check(driver_.cuMemcpyHtoDAsync(toDevice(device), host, bytes, static_cast<CUstream>(stream)),
                  "cuMemcpyHtoDAsync");
  }

  void download(void* host, const void* device, size_t bytes, Stream stream) override {
    driver_.check(driver_.cuMemcpyDtoHAsync(host, toDevice(device), bytes, static_cast<CUstream>(stream)),
                  "cuMemcpyDtoHAsync");
  }

  void synchronize(Stream stream) override {
    driver_.check(driver_.cuStreamSynchronize(static_cast<CUstream>(stream)), "cuStreamSynchronize");
  }

  void beginCapture(Stream stream) override {
    // Thread-local: other threads may allocate meanwhile.
    driver_.check(driver_.cuStreamBeginCapture(static_cast<CUstream>(stream), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                  "cuStreamBeginCapture");
  }

  Graph endCapture(Stream stream) override {
    CUgraph recorded = nullptr;
    driver_.check(driver_.cuStreamEndCapture(static_cast<CUstream>(stream), &recorded), "cuStreamEndCapture");
    CUgraphExec graph = nullptr;
    const CUresult result = driver_.cuGraphInstantiateWithFlags(&graph, recorded, 0);
    driver_.cuGraphDestroy(recorded);
    driver_.check(result, "cuGraphInstantiateWithFlags");
    return graph;
  }

  void launch(Graph graph, Stream stream) override {
    driver_.check(driver_.cuGraphLaunch(static_cast<CUgraphExec>(graph), static_cast<CUstream>(stream)),
                  "cuGraphLaunch");
  }

  void destroyGraph(Graph graph) noexcept override { driver_.cuGraphExecDestroy(static_cast<CUgraphExec>(graph)); }

  Event createEvent() override {
    CUevent event = nullptr;
    driver_.check(driver_.cuEventCreate(&event, CU_EVENT_DEFAULT), "cuEventCreate");
    return event;
  }

  void destroyEvent(Event event) noexcept override { driver_.cuEventDestroy(static_cast<CUevent>(event)); }

  void record(Event event, Stream stream) override {
    driver_.check(driver_.cuEventRecord(static_cast<CUevent>(event), static_cast<CUstream>(stream)), "cuEventRecord");
  }

  float elapsed(Event from, Event to) override {
    float milliseconds = 0;
    driver_.check(driver_.eventElapsedTime(&milliseconds, static_cast<CUevent>(from), static_cast<CUevent>(to)),
                  "cuEventElapsedTime");
    return milliseconds;
  }

 private:
  const Driver& driver_;
  CUdevice device_{};
  CUcontext context_ = nullptr;
};

}  // namespace

std::shared_ptr<Device> openDevice(int index) { return std::make_shared<CudaDevice>(index); }

}  // namespace onnx_engine::tensorrt
