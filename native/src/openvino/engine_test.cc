// Runs without Node, under AddressSanitizer and ThreadSanitizer, against the real library at the path in
// OPENVINO_LIBRARY.
#include "testing/runner.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <random>
#include <thread>

namespace onnx_engine::openvino {
namespace {

TEST(Engine, RunsOneShapeAfterAnother) {
  const std::string blob = blobOf(2, "LATENCY");
  Runner runner(blob);
  for (const int64_t size : {4, 32, 1, 8}) {
    auto input = diagonal(size, 2);
    runner.start(0, input, size, size % 8 == 0);
    EXPECT_EQ(runner.finish(0), diagonal(size, 8));
  }
}

TEST(Engine, CopiesInputsOrReadsThemInPlace) {
  const std::string blob = blobOf(0, "LATENCY");
  Runner runner(blob);
  for (int round = 0; round < 20; round++) {
    // Freed after each round: a request that kept the borrowed memory would be caught by AddressSanitizer.
    auto input = std::make_unique<std::vector<float>>(diagonal(16, static_cast<float>(round)));
    runner.start(0, *input, 16, round % 2 == 0);
    EXPECT_EQ(runner.finish(0), diagonal(16, static_cast<float>(round)));
  }
}

TEST(Engine, RefusesWhatDoesNotFit) {
  const std::string blob = blobOf(1, "LATENCY");
  Runner runner(blob);
  std::vector<float> input(16);
  EXPECT_NE(failure([&] { runner.engine().start(0, {}, false); }), "");
  EXPECT_NE(failure([&] { runner.engine().start(0, {{input.data(), 64, {16}}}, false); }), "");
  EXPECT_NE(failure([&] { runner.engine().start(0, {{input.data(), 64, {4, 5}}}, false); }), "");
  EXPECT_NE(failure([&] { runner.engine().start(0, {{input.data(), 64, {-4, -4}}}, false); }), "");
  EXPECT_NE(failure([&] { runner.engine().start(0, {{input.data(), 64, {INT64_MAX, INT64_MAX}}}, false); }), "");
  EXPECT_NE(failure([&] { runner.engine().start(99, {{input.data(), 64, {4, 4}}}, false); }), "");
  EXPECT_NE(failure([&] { Engine(library(), blob.data(), blob.size(), {"CPU", {}, {"no such input"}, {"y"}}); }), "");
  EXPECT_NE(failure([&] { Engine(library(), blob.data(), 100, {"CPU", {}, {"x"}, {"y"}}); }), "");
  EXPECT_NE(
      failure([&] { Engine(library(), blob.data(), blob.size(), {"CPU", {{"NO_SUCH_PROPERTY", "1"}}, {"x"}, {"y"}}); }),
      "");
  // The engine still works.
  auto one = diagonal(4, 1);
  runner.start(0, one, 4, false);
  EXPECT_NE(failure([&] { runner.start(0, one, 4, false); }), "");
  EXPECT_EQ(runner.finish(0), one);
}

TEST(Engine, SurvivesCancellationAtAnyMoment) {
  const std::string blob = blobOf(30, "LATENCY");
  Runner runner(blob);
  std::mt19937 random(1);
  for (int round = 0; round < 20; round++) {
    auto input = diagonal(128, 1);
    runner.start(0, input, 128, true);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    runner.engine().cancel(0);
    // Cancelled, or finished before that.
    const std::string error = failure([&] { EXPECT_EQ(runner.finish(0), input); });
    EXPECT_TRUE(error.empty() || error.find("cancel") != std::string::npos) << error;
  }
  auto input = diagonal(128, 1);
  runner.start(0, input, 128, false);
  EXPECT_EQ(runner.finish(0), input);
}

TEST(Engine, WaitsForInferencesInFlightWhenItIsDestroyed) {
  const std::string blob = blobOf(30, "THROUGHPUT");
  for (int round = 0; round < 10; round++) {
    auto input = diagonal(128, 1);
    Runner runner(blob, "THROUGHPUT");
    for (size_t request = 0; request < runner.engine().requests(); request++) runner.start(request, input, 128, true);
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
  }
}

TEST(Engine, RunsOnManyThreadsNextToOtherEngines) {
  const std::string blob = blobOf(1, "THROUGHPUT");
  std::vector<std::future<void>> threads;
  for (int thread = 0; thread < 4; thread++) {
    threads.push_back(std::async(std::launch::async, [&, thread] {
      for (int model = 0; model < 3; model++) {
        Runner runner(blob, "THROUGHPUT");
        const size_t requests = runner.engine().requests();
        for (int round = 0; round < 25; round++) {
          std::vector<std::vector<float>> inputs;
          for (size_t i = 0; i < requests; i++) inputs.push_back(diagonal(16, static_cast<float>(thread + 1)));
          for (size_t i = 0; i < requests; i++) runner.start(i, inputs[i], 16, round % 2 == 0);
          for (size_t i = 0; i < requests; i++)
            EXPECT_EQ(runner.finish(i), diagonal(16, static_cast<float>((thread + 1) * (thread + 1))));
        }
      }
    }));
  }
  for (auto& thread : threads) thread.get();
}

}  // namespace
}  // namespace onnx_engine::openvino
