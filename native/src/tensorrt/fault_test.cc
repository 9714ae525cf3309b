// The state after each call that can fail has failed, on the double of the GPU; see queue_test.cc.
#include "testing/host_double.h"

namespace onnx_engine::tensorrt {
namespace {

// The call that fails, and the next one.
void expectFailureAndRecovery(Loaded& loaded, Until& fault, int left, const std::string& text) {
  fault = left;
  EXPECT_EQ(loaded.start({1, 2}).get().error, text);
  fault = always;
  for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1, 2})), (std::vector<float>{2, 3}));
}

TEST(Fault, GoesOnAfterMemoryRanOut) {
  // x, the block of x, y, its download; and z with its download.
  for (const auto& [model, allocations] : {std::pair{Model::addOne, 4}, std::pair{Model::positive, 6}}) {
    for (int left = 0; left < allocations; left++) {
      Loaded loaded(model, {1, true});
      loaded.device->faults.allocations = left;
      const Outcome outcome = loaded.start({1, 2}).get();
      EXPECT_TRUE(outcome.error == "out of memory" || outcome.error == "enqueueV3: no memory for z")
          << left << ": " << outcome.error;
      loaded.device->faults.allocations = always;
      for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1, 2})), (std::vector<float>{2, 3}));
    }
  }
}

TEST(Fault, GoesOnAfterMemoryRanOutForLargerInputs) {
  for (int left = 0; left < 4; left++) {
    Loaded loaded(Model::addOne, {1, true});
    for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
    loaded.device->faults.allocations = left;
    EXPECT_EQ(loaded.start(std::vector<float>(500, 1)).get().error, "out of memory");
    loaded.device->faults.allocations = always;
    for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
    EXPECT_EQ(result(loaded.start(std::vector<float>(500, 1))), std::vector<float>(500, 2));
  }
}

TEST(Fault, GoesOnAfterAnInferenceFailedHalfWay) {
  for (const int before : {0, 1, 2, 5}) {
    Loaded loaded(Model::addOne, {1, false});
    for (int i = 0; i < before; i++) EXPECT_EQ(result(loaded.start({1, 2})), (std::vector<float>{2, 3}));
    expectFailureAndRecovery(loaded, loaded.device->faults.uploads, 0, "cuMemcpyHtoDAsync: unspecified launch failure");
    expectFailureAndRecovery(loaded, loaded.device->faults.enqueues, 0, "enqueueV3: a layer failed");
    expectFailureAndRecovery(loaded, loaded.device->faults.downloads, 0,
                             "cuMemcpyDtoHAsync: unspecified launch failure");
    expectFailureAndRecovery(loaded, loaded.device->faults.synchronizes, 0,
                             "cuStreamSynchronize: an illegal memory access was encountered");
  }
}

TEST(Fault, RunsOnWithoutGraphsWhenACaptureFailedHalfWay) {
  Loaded loaded(Model::addOne, {1, true});
  EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  // During the capture, not during the inference after it.
  loaded.device->faults.downloads = 0;
  EXPECT_EQ(loaded.start({1}).get().error, "cuMemcpyDtoHAsync: unspecified launch failure");
  loaded.device->faults.downloads = always;
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.device->launches, 0);
}

TEST(Fault, DoesNotTrustAGraphAfterAReplayFailed) {
  Loaded loaded(Model::addOne, {1, true});
  for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  loaded.device->faults.synchronizes = 0;
  EXPECT_EQ(loaded.start({1}).get().error, "cuStreamSynchronize: an illegal memory access was encountered");
  loaded.device->faults.synchronizes = always;
  for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.device->captures, 2);
}

TEST(Fault, NamesAnOutputWhoseDimsAreNotReportedOrTooLarge) {
  Loaded loaded(Model::positive, {1, false});
  EXPECT_EQ(result(loaded.start({3}), 1), std::vector<float>{3});
  loaded.device->faults.silent = true;
  EXPECT_EQ(loaded.start({3}).get().error, "TensorRT did not report the dims of 'z'");
  loaded.device->faults.silent = false;
  loaded.device->faults.boastful = true;
  EXPECT_EQ(loaded.start({3}).get().error, "TensorRT reported dims of 'z' that need more memory than it asked for");
  loaded.device->faults.boastful = false;
  EXPECT_EQ(result(loaded.start({3}), 1), std::vector<float>{3});
}

TEST(Fault, FailsEveryCallOnALostDeviceAndFreesAll) {
  for (const Model model : {Model::addOne, Model::positive}) {
    Loaded loaded(model, {2, true});
    for (int i = 0; i < 3; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
    loaded.device->faults.lost = true;
    for (int i = 0; i < 5; i++) EXPECT_EQ(loaded.start({1}).get().error, "the GPU has fallen off the bus");
    loaded.engine.reset();
  }
}

TEST(Fault, IsClosedWhileASlowInferenceRunsAndTheDeviceIsLost) {
  Loaded loaded(Model::addOne, {2, true});
  loaded.device->faults.slowMilliseconds = 20;
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 6; i++) all.push_back(loaded.start({1}));
  while (loaded.device->waits == 0) std::this_thread::yield();
  loaded.device->faults.lost = true;
  loaded.engine.reset();
  for (auto& future : all) {
    const std::string error = future.get().error;
    EXPECT_TRUE(error == "the engine is closed" || error == "the GPU has fallen off the bus") << error;
  }
}

}  // namespace
}  // namespace onnx_engine::tensorrt
