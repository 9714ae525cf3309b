// The engine's queue on the double of the GPU: runs without Node, TensorRT or a GPU, under AddressSanitizer and
// ThreadSanitizer. It proves nothing about real GPUs, but that we queue, cancel, share and free correctly.
#include "testing/host_double.h"

#include <stdexcept>

namespace onnx_engine::tensorrt {
namespace {

TEST(Queue, GivesEachCallerItsOwnResult) {
  for (const bool graphs : {false, true}) {
    Loaded loaded(Model::addOne, {3, graphs});
    std::vector<std::future<Outcome>> all;
    for (int i = 0; i < 300; i++)
      all.push_back(loaded.start(std::vector<float>(1 + static_cast<size_t>(i % 100), static_cast<float>(i))));
    for (int i = 0; i < 300; i++) {
      EXPECT_EQ(result(std::move(all[static_cast<size_t>(i)])),
                std::vector<float>(1 + static_cast<size_t>(i % 100), static_cast<float>(i + 1)));
    }
  }
}

TEST(Queue, CancelsWhatHasNotBegun) {
  Loaded loaded(Model::addOne, {1, false});
  loaded.device->faults.slowMilliseconds = 30;
  auto first = loaded.start({1});
  uint64_t id = 0;
  auto second = loaded.start({2}, &id);
  auto third = loaded.start({3});
  loaded.engine->cancel(id);
  EXPECT_TRUE(second.get().cancelled);
  loaded.engine->cancel(id);
  loaded.engine->cancel(12345);
  EXPECT_EQ(result(std::move(first)), std::vector<float>{2});
  EXPECT_EQ(result(std::move(third)), std::vector<float>{4});
}

TEST(Queue, CanBeCancelledFromManyThreadsAtAnyMoment) {
  Loaded loaded(Model::addOne, {2, true});
  std::vector<std::thread> callers;
  std::atomic<int> ended{0};
  for (int caller = 0; caller < 4; caller++) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 100; i++) {
        uint64_t id = 0;
        auto future = loaded.start({static_cast<float>(caller)}, &id);
        if (i % 2 == 0) loaded.engine->cancel(id);
        const Outcome outcome = future.get();
        if (!outcome.cancelled) {
          EXPECT_EQ(floats(outcome.outputs.at(0)), std::vector<float>{static_cast<float>(caller + 1)});
        }
        ended++;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(ended, 400);
}

TEST(Queue, EndsWhatWaitsAndFinishesWhatRunsWhenItIsClosed) {
  Loaded loaded(Model::addOne, {1, false});
  loaded.device->faults.slowMilliseconds = 30;
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 10; i++) all.push_back(loaded.start({1}));
  while (loaded.device->waits == 0) std::this_thread::yield();
  loaded.engine.reset();
  int finished = 0;
  for (auto& future : all) {
    const Outcome outcome = future.get();
    if (outcome.error.empty()) {
      finished++;
    } else {
      EXPECT_EQ(outcome.error, "the engine is closed");
    }
  }
  EXPECT_GE(finished, 1);
  EXPECT_LE(finished, 2);
}

TEST(Queue, PinsNoMoreBlocksThanItsContextsNeedHoweverLongItIs) {
  Loaded loaded(Model::addOne, {2, false});
  for (int round = 0; round < 5; round++) {
    std::vector<std::future<Outcome>> all;
    for (int i = 0; i < 200; i++) all.push_back(loaded.start({static_cast<float>(i)}));
    for (int i = 0; i < 200; i++)
      EXPECT_EQ(result(std::move(all[static_cast<size_t>(i)])), std::vector<float>{static_cast<float>(i + 1)});
  }
  // Two contexts: an output each, a block each, and as many that are lent to callers.
  EXPECT_LE(loaded.device->pinned, 6);
}

TEST(Queue, GivesTheRuntimeCacheWhileItRuns) {
  Loaded loaded;
  auto running = loaded.start({1});
  EXPECT_EQ(loaded.engine->runtimeCache(), std::vector<char>{'k'});
  EXPECT_EQ(result(std::move(running)), std::vector<float>{2});
}

TEST(Queue, IsNotOpenedOnALostDevice) {
  auto device = std::make_shared<HostDevice>();
  device->faults.lost = true;
  EXPECT_THROW(Engine(device, std::make_unique<HostPlan>(*device, Model::addOne), {}), std::runtime_error);
}

}  // namespace
}  // namespace onnx_engine::tensorrt
