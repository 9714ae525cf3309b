// One inference after another in one execution context, on the double of the GPU; see queue_test.cc.
#include "testing/host_double.h"

namespace onnx_engine::tensorrt {
namespace {

TEST(InferenceSlot, ReplaysRepeatedShapesAsAGraphWithTheNewValues) {
  Loaded loaded(Model::addOne, {1, true});
  for (int i = 0; i < 6; i++)
    EXPECT_EQ(result(loaded.start({static_cast<float>(i), 0})), (std::vector<float>{static_cast<float>(i + 1), 1}));
  EXPECT_EQ(loaded.device->launches, 5);
  EXPECT_EQ(result(loaded.start({1, 2, 3})), (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(loaded.device->launches, 5);
}

TEST(InferenceSlot, CapturesAgainWhenMemoryHasMoved) {
  Loaded loaded(Model::addOne, {1, true});
  for (const size_t count : {2, 60, 2, 900, 60}) {
    for (int i = 0; i < 3; i++)
      EXPECT_EQ(result(loaded.start(std::vector<float>(count, 1))), std::vector<float>(count, 2));
  }
  EXPECT_EQ(loaded.device->captures, 5);
  EXPECT_EQ(loaded.device->launches, 10);
}

TEST(InferenceSlot, SetsAddressesOnlyWhenDimsHaveChanged) {
  Loaded loaded(Model::addOne, {1, false});
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.plan->addressesSet, 2);
  EXPECT_EQ(result(loaded.start({1, 1})), (std::vector<float>{2, 2}));
  EXPECT_EQ(loaded.plan->addressesSet, 4);
}

TEST(InferenceSlot, RunsWithoutGraphsWhereTheyCannotBeCaptured) {
  Loaded loaded(Model::addOne, {1, true});
  loaded.device->faults.capture = true;
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.device->captures, 1);
  EXPECT_EQ(loaded.device->launches, 0);
}

TEST(InferenceSlot, DoesNotTryToCaptureWhatTensorRtSaysItCannot) {
  Loaded loaded(Model::addOne, {1, true});
  loaded.plan->capturable = false;
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.device->captures, 0);
}

TEST(InferenceSlot, TakesOutputsWhoseSizeOnlyTheInferenceDecides) {
  Loaded loaded(Model::positive, {2, true});
  for (int i = 0; i < 5; i++) EXPECT_EQ(result(loaded.start({-1, 2, -3, 4}), 1), (std::vector<float>{2, 4}));
  EXPECT_EQ(result(loaded.start({-1}), 1), std::vector<float>{});
  EXPECT_EQ(result(loaded.start(std::vector<float>(900, 5)), 1), std::vector<float>(900, 5));
  EXPECT_EQ(result(loaded.start({}), 0), std::vector<float>{});
  EXPECT_EQ(loaded.device->captures, 0);
}

TEST(InferenceSlot, ReadsTheValuesOfShapeTensorsOnTheHost) {
  for (const bool graphs : {false, true}) {
    Loaded loaded(Model::repeat, {1, graphs});
    for (const int64_t times : {1, 3, 3, 3, 2, 9, 1, 1, 1}) {
      std::vector<float> expected;
      for (int64_t i = 0; i < times; i++) expected.insert(expected.end(), {7, 8});
      EXPECT_EQ(result(loaded.repeat({7, 8}, times)), expected);
    }
  }
}

TEST(InferenceSlot, ReplaysAGraphForAsLongAsTheValuesOfShapeTensorsStay) {
  Loaded loaded(Model::repeat, {1, true});
  for (int i = 0; i < 4; i++)
    EXPECT_EQ(result(loaded.repeat({static_cast<float>(i)}, 2)), std::vector<float>(2, static_cast<float>(i)));
  EXPECT_EQ(loaded.device->launches, 3);
  EXPECT_EQ(result(loaded.repeat({1}, 4)), std::vector<float>(4, 1));
  EXPECT_EQ(loaded.device->launches, 3);
}

TEST(InferenceSlot, NamesInputsThatFitNoProfile) {
  Loaded loaded;
  EXPECT_EQ(loaded.start(std::vector<float>(1001)).get().error,
            "the inputs [1001] fit no optimization profile of the engine");
  EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  Loaded repeating(Model::repeat);
  EXPECT_EQ(repeating.repeat({1}, 10).get().error,
            "the inputs [1] [] with values [10] fit no optimization profile of the engine");
  EXPECT_EQ(loaded.submit({}).get().error, "the inputs fit no optimization profile of the engine");
}

TEST(InferenceSlot, RefusesBytesThatAreNotWhatTheirDimsSay) {
  Loaded loaded;
  std::vector<Tensor> inputs;
  const float values[2] = {};
  inputs.push_back(loaded.engine->copyOf(values, sizeof(values), {3}));
  EXPECT_EQ(loaded.submit(std::move(inputs)).get().error, "input 'x' has 8 bytes, but its dims need 12");
}

TEST(InferenceSlot, WritesOutputsWhereTheCallerWantsThem) {
  Loaded loaded(Model::addOne, {1, true});
  for (int i = 0; i < 4; i++) {
    std::vector<Tensor> inputs;
    inputs.push_back(loaded.tensor({static_cast<float>(i), 5}));
    float y[2] = {};
    const Outcome outcome = loaded.submit(std::move(inputs), {{y, sizeof(y)}}).get();
    EXPECT_EQ(outcome.outputs.at(0).own, nullptr);
    EXPECT_EQ(y[0], static_cast<float>(i + 1));
    EXPECT_EQ(y[1], 6);
  }
  std::vector<Tensor> inputs;
  inputs.push_back(loaded.tensor({1, 2, 3}));
  float tooSmall[2] = {};
  EXPECT_EQ(floats(loaded.submit(std::move(inputs), {{tooSmall, sizeof(tooSmall)}}).get().outputs.at(0)),
            (std::vector<float>{2, 3, 4}));
  EXPECT_EQ(tooSmall[0], 0);
}

TEST(InferenceSlot, CopiesAnInputOnceWhenABlockIsFree) {
  Loaded loaded(Model::addOne, {1, false});
  EXPECT_EQ(loaded.tensor({1}).block.data(), nullptr);
  EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_NE(loaded.tensor({1}).block.data(), nullptr);
  EXPECT_EQ(loaded.tensor({1, 2}).block.data(), nullptr) << "it has room for one number only";
}

// The double counts what was done between two events instead of milliseconds.
TEST(InferenceSlot, TimesUploadsTheEngineAndDownloadsApart) {
  for (const bool graphs : {false, true}) {
    Loaded loaded(Model::addOne, {1, graphs, true});
    for (int i = 0; i < 5; i++)
      EXPECT_EQ(result(loaded.start({static_cast<float>(i)})), std::vector<float>{static_cast<float>(i + 1)});
    EXPECT_EQ(loaded.device->launches, graphs ? 4 : 0);
    const auto times = loaded.engine->takeTimes();
    ASSERT_EQ(times.size(), 5u);
    for (const GpuTimes& each : times) {
      EXPECT_EQ(each.upload, 1);
      EXPECT_EQ(each.compute, 1);
      EXPECT_EQ(each.download, 1);
    }
    EXPECT_TRUE(loaded.engine->takeTimes().empty());
  }
}

TEST(InferenceSlot, TimesInputsOnTheHostAndOutputsOfAnySize) {
  Loaded repeating(Model::repeat, {2, true, true});
  for (const int64_t times : {2, 2, 2, 5}) EXPECT_EQ(result(repeating.repeat({7}, times)).at(0), 7);
  for (const GpuTimes& each : repeating.engine->takeTimes()) EXPECT_EQ(each.upload, 1) << "`times` is not copied";
  Loaded positive(Model::positive, {1, true, true});
  EXPECT_EQ(result(positive.start({-1, 2}), 1), std::vector<float>{2});
  EXPECT_EQ(result(positive.start({-1}), 1), std::vector<float>{});
  const auto times = positive.engine->takeTimes();
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].download, 2);
  EXPECT_EQ(times[1].download, 1);
}

TEST(InferenceSlot, MakesEventsOnlyForTiming) {
  Loaded plain(Model::addOne, {2, true});
  for (int i = 0; i < 3; i++) EXPECT_EQ(result(plain.start({1})), std::vector<float>{2});
  EXPECT_EQ(plain.device->eventsMade, 0);
  EXPECT_TRUE(plain.engine->takeTimes().empty());
  Loaded timed(Model::addOne, {3, true, true});
  EXPECT_EQ(timed.device->eventsMade, 12);
}

TEST(InferenceSlot, KeepsNoTimesOfAnInferenceThatFailed) {
  Loaded loaded(Model::addOne, {1, true, true});
  for (Until Faults::* fault : {&Faults::uploads, &Faults::enqueues, &Faults::downloads, &Faults::synchronizes}) {
    loaded.device->faults.*fault = 0;
    EXPECT_NE(loaded.start({1}).get().error, "");
    loaded.device->faults.*fault = always;
  }
  EXPECT_TRUE(loaded.engine->takeTimes().empty());
  for (int i = 0; i < 4; i++) EXPECT_EQ(result(loaded.start({1})), std::vector<float>{2});
  EXPECT_EQ(loaded.engine->takeTimes().size(), 4u);
}

TEST(InferenceSlot, KeepsNoMoreTimesThanAnybodyNeeds) {
  Loaded loaded(Model::addOne, {2, true, true});
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 5000; i++) all.push_back(loaded.start({1}));
  for (auto& each : all) EXPECT_EQ(each.get().error, "");
  EXPECT_EQ(loaded.engine->takeTimes().size(), 4096u);
}

}  // namespace
}  // namespace onnx_engine::tensorrt
