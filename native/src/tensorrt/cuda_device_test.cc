// The calls to the CUDA driver, on a real GPU of any kind, by `npm run test:gpu`. It needs no kernel: cuda_device.cc is
// about copies, streams, graphs of copies, and contexts on many threads.
#include "cuda_device.h"
#include "memory.h"
#include "probe.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <thread>

namespace onnx_engine::tensorrt {
namespace {

std::shared_ptr<Device> entered(int index = 0) {
  auto device = openDevice(index);
  device->enter();
  return device;
}

// Copies bytes to the device and back.
struct RoundTrip {
  explicit RoundTrip(Device& device) : up(device, true), down(device, true), onDevice(device, false) {
    up.grow(bytes);
    down.grow(bytes);
    onDevice.grow(bytes);
    std::memset(down.data(), 0, bytes);
  }

  void put(Device& device, Stream stream) {
    device.upload(onDevice.data(), up.data(), bytes, stream);
    device.download(down.data(), onDevice.data(), bytes, stream);
  }

  void fill(int value) { std::memset(up.data(), value, bytes); }
  bool arrived() const { return std::memcmp(up.data(), down.data(), bytes) == 0; }

  static constexpr size_t bytes = 1 << 20;
  Memory up;
  Memory down;
  Memory onDevice;
};

TEST(Cuda, FindsGpus) {
  const GpuProbe probe = probeGpus();
  EXPECT_EQ(probe.reason, "");
  ASSERT_FALSE(probe.gpus.empty());
  EXPECT_EQ(probe.gpus[0].computeCapability.rfind("sm", 0), 0u);
  EXPECT_GT(probe.gpus[0].multiprocessors, 0);
  EXPECT_GT(probe.gpus[0].memoryBytes, 1 << 28);
}

TEST(Cuda, NamesAGpuThatIsNotThere) {
  try {
    openDevice(4096);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()).rfind("there is no GPU 4096: the driver finds ", 0), 0u);
  }
}

TEST(Cuda, AlignsMemoryAsTensorRtDemands) {
  const auto device = entered();
  for (const size_t bytes : {1, 3, 257, 70000}) {
    Memory onDevice(*device, false);
    Memory pinned(*device, true);
    onDevice.grow(bytes);
    pinned.grow(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(onDevice.data()) % 256, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pinned.data()) % 256, 0u);
  }
}

TEST(Cuda, CopiesInStreamsOfManyThreads) {
  const auto device = entered();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; thread++) {
    threads.emplace_back([&, thread] {
      device->enter();
      const Stream stream = device->createStream();
      RoundTrip trip(*device);
      for (int i = 0; i < 50; i++) {
        trip.fill(thread * 50 + i);
        trip.put(*device, stream);
        device->synchronize(stream);
        EXPECT_TRUE(trip.arrived());
      }
      device->destroyStream(stream);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Cuda, ReplaysAGraphWithCurrentValues) {
  const auto device = entered();
  const Stream stream = device->createStream();
  {
    RoundTrip trip(*device);
    device->beginCapture(stream);
    trip.put(*device, stream);
    const Graph graph = device->endCapture(stream);
    for (int i = 1; i < 10; i++) {
      trip.fill(i);
      EXPECT_FALSE(trip.arrived());
      device->launch(graph, stream);
      device->synchronize(stream);
      EXPECT_TRUE(trip.arrived());
    }
    device->destroyGraph(graph);
  }
  device->destroyStream(stream);
}

TEST(Cuda, TimesWhatIsDoneBetweenTwoEvents) {
  const auto device = entered();
  const Stream stream = device->createStream();
  {
    RoundTrip trip(*device);
    std::vector<Event> events;
    for (int i = 0; i < 3; i++) events.push_back(device->createEvent());
    device->record(events[0], stream);
    device->record(events[1], stream);
    for (int i = 0; i < 20; i++) trip.put(*device, stream);
    device->record(events[2], stream);
    device->synchronize(stream);
    const float nothing = device->elapsed(events[0], events[1]);
    EXPECT_GE(nothing, 0);
    EXPECT_GT(device->elapsed(events[1], events[2]), nothing);
    for (Event event : events) device->destroyEvent(event);
  }
  device->destroyStream(stream);
}

TEST(Cuda, CapturesOnOneThreadWhileAnotherAllocates) {
  const auto device = entered();
  const Stream stream = device->createStream();
  RoundTrip trip(*device);
  device->beginCapture(stream);
  trip.put(*device, stream);
  std::thread([&] {
    device->enter();
    Memory other(*device, false);
    other.grow(1 << 20);
  }).join();
  device->destroyGraph(device->endCapture(stream));
  device->destroyStream(stream);
}

TEST(Cuda, ReportsThatMemoryRanOut) {
  const auto device = entered();
  Memory memory(*device, false);
  try {
    memory.grow(size_t{1} << 50);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "cuMemAlloc of 1125899906842624 bytes: out of memory");
  }
  memory.grow(1 << 20);
}

TEST(Cuda, OpensEveryGpuByItsIndex) {
  const size_t count = probeGpus().gpus.size();
  for (size_t index = 0; index < count; index++) {
    const auto device = entered(static_cast<int>(index));
    const Stream stream = device->createStream();
    {
      RoundTrip trip(*device);
      trip.fill(static_cast<int>(index) + 1);
      trip.put(*device, stream);
      device->synchronize(stream);
      EXPECT_TRUE(trip.arrived());
    }
    device->destroyStream(stream);
  }
}

}  // namespace
}  // namespace onnx_engine::tensorrt
