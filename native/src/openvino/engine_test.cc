// Runs without Node, under AddressSanitizer and ThreadSanitizer, against the real library at the path in
// OPENVINO_LIBRARY.
#include "engine.h"
#include "builder.h"
#include "probe.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#if defined(SANITIZED) && defined(__linux__)
#include <dlfcn.h>

// OpenVINO's copy of TBB opens a library with RTLD_DEEPBIND, at which sanitizers end the process. Without that flag
// both are content.
extern "C" __attribute__((visibility("default"))) void* dlopen(const char* file, int mode) noexcept {
  static const auto next = reinterpret_cast<void* (*)(const char*, int)>(dlsym(RTLD_NEXT, "dlopen"));
  return next(file, mode & ~RTLD_DEEPBIND);
}
#endif

namespace onnx_engine::openvino {
namespace {

const Library& library() {
  const char* path = std::getenv("OPENVINO_LIBRARY");
  if (path == nullptr) throw std::runtime_error("OPENVINO_LIBRARY is not set");
  return Library::open(path);
}

std::string scratch(const std::string& name) {
  return testing::TempDir() + "unplugin-onnx-" + std::to_string(std::rand()) + "-" + name;
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// y = relu(x * x * ... * x) of `products` square matrices of any size: no weights, and as slow as one likes.
std::string productsModel(int products) {
  const std::string square = "<dim>-1</dim><dim>-1</dim>";
  const auto port = [&](int id, const char* names = "") {
    return "<port id=\"" + std::to_string(id) + "\" precision=\"FP32\" names=\"" + names + "\">" + square + "</port>";
  };
  std::string layers =
      R"(<layer id="0" name="x" type="Parameter" version="opset1"><data shape="?,?" element_type="f32"/><output>)" +
      port(0, "x") + "</output></layer>";
  std::string edges;
  const auto edge = [&](int from, int fromPort, int to, int toPort) {
    edges += "<edge from-layer=\"" + std::to_string(from) + "\" from-port=\"" + std::to_string(fromPort) +
             "\" to-layer=\"" + std::to_string(to) + "\" to-port=\"" + std::to_string(toPort) + "\"/>";
  };
  for (int i = 1; i <= products; i++) {
    layers += "<layer id=\"" + std::to_string(i) + "\" name=\"product" + std::to_string(i) +
              R"(" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="false"/><input>)" + port(0) +
              port(1) + "</input><output>" + port(2) + "</output></layer>";
    edge(i - 1, i == 1 ? 0 : 2, i, 0);
    edge(0, 0, i, 1);
  }
  const int relu = products + 1;
  layers += "<layer id=\"" + std::to_string(relu) + R"(" name="relu" type="ReLU" version="opset1"><input>)" + port(0) +
            "</input><output>" + port(1, "y") + "</output></layer>";
  layers += "<layer id=\"" + std::to_string(relu + 1) + R"(" name="y" type="Result" version="opset1"><input>)" +
            port(0) + "</input></layer>";
  edge(relu - 1, products == 0 ? 0 : 2, relu, 0);
  edge(relu, 1, relu + 1, 0);
  return R"(<?xml version="1.0"?><net name="products" version="11"><layers>)" + layers + "</layers><edges>" + edges +
         "</edges></net>";
}

std::string blobOf(int products, const std::string& hint) {
  const std::string model = scratch("model.xml");
  const std::string blob = scratch("engine.blob");
  std::ofstream(model) << productsModel(products);
  build(library(), {model, blob, "CPU", {{"PERFORMANCE_HINT", hint}, {"INFERENCE_PRECISION_HINT", "f32"}}, {}});
  std::string bytes = read(blob);
  std::remove(model.c_str());
  std::remove(blob.c_str());
  return bytes;
}

// What the Node addon does with an engine, without Node: starts on free requests, waits for `done`, finishes on the
// same thread.
class Runner {
 public:
  explicit Runner(const std::string& blob, const std::string& hint = "LATENCY")
      : engine_(library(), blob.data(), blob.size(),
                {"CPU", {{"PERFORMANCE_HINT", hint}, {"INFERENCE_PRECISION_HINT", "f32"}}, {"x"}, {"y"}}) {
    ended_.resize(engine_.requests(), false);
    engine_.onDone([this](size_t request) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_[request] = true;
      changed_.notify_all();
    });
  }

  Engine& engine() { return engine_; }

  void start(size_t request, std::vector<float>& values, int64_t size, bool borrow) {
    engine_.start(request, {{values.data(), values.size() * sizeof(float), {size, size}}}, borrow);
  }

  std::vector<float> finish(size_t request) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return ended_[request]; });
      ended_[request] = false;
    }
    const auto outputs = engine_.finish(request);
    const auto* values = static_cast<const float*>(outputs.at(0).data);
    return {values, values + outputs[0].bytes / sizeof(float)};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> ended_;
  Engine engine_;
};

std::vector<float> diagonal(int64_t size, float value) {
  std::vector<float> values(static_cast<size_t>(size * size), 0);
  for (int64_t i = 0; i < size; i++) values[static_cast<size_t>(i * size + i)] = value;
  return values;
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(Library, TellsWhatIsWrongWithAFile) {
  EXPECT_NE(failure([] { Library::open("/nowhere/libopenvino_c.so"); }).find("/nowhere/libopenvino_c.so"),
            std::string::npos);
  EXPECT_NE(failure([] { Library::open(__FILE__); }), "");
}

TEST(Library, ListsTheCpuWithTheRequirementsOfItsBlobs) {
  const auto devices = probe(library());
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].name, "CPU");
  EXPECT_NE(devices[0].capabilities.find("EXPORT_IMPORT"), std::string::npos);
  EXPECT_NE(devices[0].runtimeRequirements.find("ov="), std::string::npos);
}

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
  // And goes on.
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
    // Cancelled, or too late for that.
    const std::string error = failure([&] { EXPECT_EQ(runner.finish(0), input); });
    EXPECT_TRUE(error.empty() || error.find("cancel") != std::string::npos) << error;
  }
  auto input = diagonal(128, 1);
  runner.start(0, input, 128, false);
  EXPECT_EQ(runner.finish(0), input);
}

TEST(Engine, WaitsForWhatIsInFlightWhenItIsDestroyed) {
  const std::string blob = blobOf(30, "THROUGHPUT");
  for (int round = 0; round < 10; round++) {
    auto input = diagonal(128, 1);
    Runner runner(blob, "THROUGHPUT");
    for (size_t request = 0; request < runner.engine().requests(); request++) runner.start(request, input, 128, true);
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
  }
}

TEST(Engine, RunsBesideOthersOnManyThreads) {
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
