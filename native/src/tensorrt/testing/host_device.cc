#include "host_double.h"

#include <chrono>
#include <cstring>
#include <new>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

struct HostStream {
  std::vector<std::function<void()>> work;
  std::vector<std::function<void()>> recorded;
  bool capturing = false;
  // Copies and kernels that ran.
  int steps = 0;
};

// The step of its stream at which it was passed.
struct HostEvent {
  int step = -1;
};

using HostGraph = std::vector<std::function<void()>>;

constexpr std::align_val_t alignment{256};

HostStream& toHost(Stream stream) { return *static_cast<HostStream*>(stream); }
HostEvent& toHostEvent(Event event) { return *static_cast<HostEvent*>(event); }

}  // namespace

HostDevice::~HostDevice() {
  EXPECT_TRUE(memory_.empty()) << "device memory was not freed";
  EXPECT_TRUE(pinnedMemory_.empty()) << "pinned memory was not freed";
  EXPECT_EQ(streams_.load(), 0);
  EXPECT_EQ(graphs_.load(), 0);
  EXPECT_EQ(events_.load(), 0);
}

void* HostDevice::allocate(size_t bytes) { return take(bytes, memory_); }
void HostDevice::free(void* memory) noexcept { give(memory, memory_); }
void* HostDevice::allocatePinned(size_t bytes) {
  pinned++;
  return take(bytes, pinnedMemory_);
}
void HostDevice::freePinned(void* memory) noexcept { give(memory, pinnedMemory_); }

Stream HostDevice::createStream() {
  streams_++;
  return new HostStream();
}

void HostDevice::destroyStream(Stream stream) noexcept {
  EXPECT_TRUE(toHost(stream).work.empty() || faults.lost) << "a stream was destroyed with work in it";
  streams_--;
  delete static_cast<HostStream*>(stream);
}

void HostDevice::upload(void* device, const void* host, size_t bytes, Stream stream) {
  EXPECT_TRUE(isPinned(host)) << "an upload makes a detour";
  if (!takeFrom(faults.uploads)) throw std::runtime_error("cuMemcpyHtoDAsync: unspecified launch failure");
  put(stream, [=] { std::memcpy(device, host, bytes); });
}

void HostDevice::download(void* host, const void* device, size_t bytes, Stream stream) {
  EXPECT_TRUE(isPinned(host)) << "a download makes a detour";
  if (!takeFrom(faults.downloads)) throw std::runtime_error("cuMemcpyDtoHAsync: unspecified launch failure");
  put(stream, [=] { std::memcpy(host, device, bytes); });
}

void HostDevice::synchronize(Stream stream) {
  waits++;
  if (const int slow = faults.slowMilliseconds) std::this_thread::sleep_for(std::chrono::milliseconds(slow));
  check();
  const auto all = std::move(toHost(stream).work);
  toHost(stream).work.clear();
  for (const auto& step : all) step();
  if (!takeFrom(faults.synchronizes))
    throw std::runtime_error("cuStreamSynchronize: an illegal memory access was encountered");
}

void HostDevice::beginCapture(Stream stream) {
  captures++;
  toHost(stream).capturing = true;
}

Graph HostDevice::endCapture(Stream stream) {
  toHost(stream).capturing = false;
  HostGraph recorded;
  recorded.swap(toHost(stream).recorded);
  if (faults.capture) throw std::runtime_error("operation not permitted when stream is capturing");
  graphs_++;
  return new HostGraph(std::move(recorded));
}

void HostDevice::launch(Graph graph, Stream stream) {
  launches++;
  for (const auto& step : *static_cast<HostGraph*>(graph)) add(stream, step);
}

void HostDevice::destroyGraph(Graph graph) noexcept {
  graphs_--;
  delete static_cast<HostGraph*>(graph);
}

Event HostDevice::createEvent() {
  check();
  events_++;
  eventsMade++;
  return new HostEvent();
}

void HostDevice::destroyEvent(Event event) noexcept {
  events_--;
  delete static_cast<HostEvent*>(event);
}

void HostDevice::record(Event event, Stream stream) {
  EXPECT_FALSE(toHost(stream).capturing) << "an event in a graph has no time";
  add(stream, [event, stream] { toHostEvent(event).step = toHost(stream).steps; });
}

float HostDevice::elapsed(Event from, Event to) {
  EXPECT_GE(toHostEvent(from).step, 0) << "an event was not passed yet";
  EXPECT_GE(toHostEvent(to).step, 0) << "an event was not passed yet";
  return static_cast<float>(toHostEvent(to).step - toHostEvent(from).step);
}

void HostDevice::put(Stream stream, std::function<void()> step) {
  add(stream, [stream, step = std::move(step)] {
    step();
    toHost(stream).steps++;
  });
}

void HostDevice::add(Stream stream, std::function<void()> step) {
  check();
  (toHost(stream).capturing ? toHost(stream).recorded : toHost(stream).work).push_back(std::move(step));
}

bool HostDevice::isPinned(const void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pinnedMemory_.count(const_cast<void*>(memory)) > 0;
}

void HostDevice::check() const {
  if (faults.lost) throw std::runtime_error("the GPU has fallen off the bus");
}

void* HostDevice::take(size_t bytes, std::set<void*>& all) {
  check();
  if (!takeFrom(faults.allocations)) throw std::runtime_error("out of memory");
  void* memory = ::operator new(bytes, alignment);
  const std::lock_guard<std::mutex> lock(mutex_);
  all.insert(memory);
  return memory;
}

void HostDevice::give(void* memory, std::set<void*>& all) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  EXPECT_EQ(all.erase(memory), 1u);
  ::operator delete(memory, alignment);
}

}  // namespace onnx_engine::tensorrt
