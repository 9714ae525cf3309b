// Runs without Node, under AddressSanitizer and ThreadSanitizer, against the real library at the path in
// ONNXRUNTIME_LIBRARY.
#include "engine.h"
#include "testing/models.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <random>
#include <stdexcept>
#include <thread>

namespace onnx_engine::onnxruntime {
namespace {

using std::chrono::milliseconds;

const Library& library() {
  const char* path = std::getenv("ONNXRUNTIME_LIBRARY");
  if (path == nullptr) throw std::runtime_error("ONNXRUNTIME_LIBRARY is not set");
  return Library::open(path);
}

// What the Node addon does with an engine, without Node.
class Runner {
 public:
  explicit Runner(const std::string& model, std::optional<size_t> runs = std::nullopt)
      : engine_(std::make_unique<Session>(library(), model.data(), model.size(), SessionSettings{1, {"x"}, {"y"}}),
                runs) {}

  Engine& engine() { return engine_; }

  std::future<Outcome> start(std::vector<float>& values, int64_t size, Target target = {}, uint64_t* id = nullptr) {
    Tensor tensor;
    tensor.data = values.data();
    tensor.bytes = values.size() * sizeof(float);
    tensor.dims = {size, size};
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    const uint64_t number = engine_.submit({tensor}, {std::move(target)},
                                           [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    if (id != nullptr) *id = number;
    return future;
  }

 private:
  Engine engine_;
};

std::vector<float> floatsOf(const Outcome& outcome) {
  EXPECT_EQ(outcome.error, "");
  if (outcome.outputs.empty()) return {};
  const auto* values = static_cast<const float*>(outcome.outputs[0].data);
  return {values, values + outcome.outputs[0].bytes / sizeof(float)};
}

// Takes seconds on a matrix of 256x256.
std::string endlessModel() { return productsModel(3000); }

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(Library, NamesTheFileThatIsNoOnnxRuntime) {
  EXPECT_NE(failure([] { Library::open("/nowhere/libonnxruntime.so"); }).find("/nowhere/libonnxruntime.so"),
            std::string::npos);
  EXPECT_NE(failure([] { Library::open(__FILE__); }), "");
  // Any library of the system.
  EXPECT_NE(failure([] { Library::open("libm.so.6"); }).find("is not ONNX Runtime"), std::string::npos);
}

TEST(Session, RunsOneShapeAfterAnother) {
  Runner runner(productsModel(2));
  for (const int64_t size : {4, 32, 1, 8, 0}) {
    auto input = diagonal(size, 2);
    EXPECT_EQ(floatsOf(runner.start(input, size).get()), diagonal(size, 8));
  }
}

TEST(Session, CarriesEveryElementTypeAndRankThroughUnchanged) {
  for (const int type : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}) {
    for (size_t rank = 0; rank <= 8; rank++) {
      const std::string model = identityModel(type, rank);
      const Session session(library(), model.data(), model.size(), {1, {"x"}, {"y"}});
      Tensor tensor;
      tensor.dims.assign(rank, 1);
      if (rank > 1) tensor.dims[1] = 3;
      if (rank == 8) tensor.dims[7] = 0;
      tensor.bytes = elementCount(tensor.dims) * session.inputs()[0].type->bytes;
      std::vector<uint8_t> bytes(tensor.bytes, 1);
      tensor.data = bytes.data();
      const auto outputs = session.run({tensor}, {{}}, nullptr);
      EXPECT_EQ(outputs[0].dims, tensor.dims);
      ASSERT_EQ(outputs[0].bytes, tensor.bytes);
      if (tensor.bytes == 0) continue;
      EXPECT_EQ(std::memcmp(outputs[0].data, bytes.data(), tensor.bytes), 0);
    }
  }
}

TEST(Session, CarriesStringsWithNulCharacters) {
  const std::string model = identityModel(8, 1);
  const Session session(library(), model.data(), model.size(), {1, {"x"}, {"y"}});
  for (const auto& strings : std::vector<std::vector<std::string>>{{}, {"", std::string("a\0b", 3), "grö"}}) {
    Tensor tensor;
    tensor.strings = strings;
    tensor.dims = {static_cast<int64_t>(strings.size())};
    EXPECT_EQ(session.run({tensor}, {{}}, nullptr)[0].strings, strings);
  }
}

TEST(Session, WritesIntoATargetAndGivesItsOwnMemoryWhereThatDoesNotFit) {
  Runner runner(productsModel(1));
  auto input = diagonal(16, 3);
  std::vector<float> memory(256, -1);
  const auto direct = runner.start(input, 16, {memory.data(), 1024, {16, 16}}).get();
  ASSERT_EQ(direct.error, "");
  EXPECT_TRUE(direct.outputs[0].inTarget);
  EXPECT_EQ(memory, diagonal(16, 9));
  const auto other = runner.start(input, 16, {memory.data(), 4, {1, 1}}).get();
  ASSERT_EQ(floatsOf(other), diagonal(16, 9));
  EXPECT_FALSE(other.outputs[0].inTarget);
}

TEST(Session, RefusesWhatDoesNotFit) {
  const std::string model = productsModel(1);
  EXPECT_NE(failure([&] { Session(library(), model.data(), 20, {0, {"x"}, {"y"}}); }), "");
  EXPECT_NE(failure([&] { Session(library(), "", 0, {0, {"x"}, {"y"}}); }), "");
  EXPECT_EQ(failure([&] { Session(library(), model.data(), model.size(), {0, {"a"}, {"y"}}); }),
            "the engine has no input 'a'");
  const Session session(library(), model.data(), model.size(), {1, {"x"}, {"y"}});
  std::vector<float> values(4);
  const auto run = [&](size_t bytes, std::vector<int64_t> dims) {
    Tensor tensor;
    tensor.data = values.data();
    tensor.bytes = bytes;
    tensor.dims = std::move(dims);
    return failure([&] { session.run({tensor}, {{}}, nullptr); });
  };
  EXPECT_NE(run(16, {2, 3}), "");
  EXPECT_NE(run(16, {-2, -2}), "");
  EXPECT_NE(run(16, {INT64_MAX, INT64_MAX}), "");
  EXPECT_NE(run(16, {4}), "");
  EXPECT_NE(failure([&] { session.run({}, {{}}, nullptr); }), "");
  EXPECT_EQ(run(16, {2, 2}), "");
}

TEST(Engine, RunsManyCallsOfManyCallersAtOnce) {
  const std::string model = productsModel(1);
  std::vector<std::future<void>> callers;
  Runner shared(model);
  for (int caller = 0; caller < 4; caller++) {
    callers.push_back(std::async(std::launch::async, [&, caller] {
      const auto value = static_cast<float>(caller + 1);
      for (int round = 0; round < 10; round++) {
        Runner own(model, 2);
        auto input = diagonal(8, value);
        std::vector<std::future<Outcome>> results;
        for (int i = 0; i < 20; i++) results.push_back((i % 2 == 0 ? own : shared).start(input, 8));
        for (auto& result : results) EXPECT_EQ(floatsOf(result.get()), diagonal(8, value * value));
      }
    }));
  }
  for (auto& caller : callers) caller.get();
}

TEST(Engine, RunsAnotherModelWhileOneHasManyCallsWaiting) {
  Runner flooded(productsModel(4));
  Runner other(productsModel(1));
  auto input = diagonal(64, 1);
  std::vector<std::future<Outcome>> flood;
  for (int i = 0; i < 2000; i++) flood.push_back(flooded.start(input, 64));
  floatsOf(other.start(input, 64).get());
  // Well before the flood has passed.
  EXPECT_EQ(flood.back().wait_for(milliseconds(0)), std::future_status::timeout);
  for (auto& result : flood) floatsOf(result.get());
}

TEST(Engine, StopsARunThatHasBegun) {
  Runner runner(endlessModel(), 1);
  auto input = diagonal(256, 1);
  uint64_t id = 0;
  auto running = runner.start(input, 256, {}, &id);
  // In the midst of it: a cancelled call that has not begun would say so.
  while (running.wait_for(milliseconds(1)) == std::future_status::timeout) runner.engine().cancel(id);
  EXPECT_NE(running.get().error, "");
}

TEST(Engine, SurvivesCancellationAtAnyMoment) {
  Runner runner(productsModel(30), 2);
  std::mt19937 random(1);
  auto input = diagonal(64, 1);
  for (int round = 0; round < 40; round++) {
    uint64_t first = 0;
    uint64_t second = 0;
    auto one = runner.start(input, 64, {}, &first);
    auto two = runner.start(input, 64, {}, &second);
    auto three = runner.start(input, 64);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    runner.engine().cancel(second);
    runner.engine().cancel(first);
    runner.engine().cancel(12345);
    for (auto* result : {&one, &two}) {
      const Outcome outcome = result->get();
      if (outcome.error.empty()) {
        EXPECT_EQ(floatsOf(outcome), input);
      }
    }
    EXPECT_EQ(floatsOf(three.get()), input);
  }
}

TEST(Engine, EndsWhatIsInFlightWhenItIsDestroyed) {
  const std::string model = productsModel(1000);
  auto input = diagonal(64, 1);
  for (int round = 0; round < 5; round++) {
    std::vector<std::future<Outcome>> results;
    {
      Runner runner(model, 2);
      for (int i = 0; i < 6; i++) results.push_back(runner.start(input, 64));
      std::this_thread::sleep_for(milliseconds(round));
    }
    for (auto& result : results) EXPECT_EQ(result.wait_for(milliseconds(0)), std::future_status::ready);
  }
}

TEST(ExitGate, EndsWhatRunsAndRefusesWhatComes) {
  Runner runner(endlessModel(), 1);
  auto input = diagonal(256, 1);
  auto running = runner.start(input, 256);
  auto waiting = runner.start(input, 256);
  EXPECT_TRUE(ExitGate::close(milliseconds(10'000)));
  EXPECT_NE(running.get().error, "");
  EXPECT_EQ(waiting.get().error, "the process is exiting");
  EXPECT_NE(runner.start(input, 256).get().error, "");
  EXPECT_EQ(failure([&] { runner.engine().runNow({}, {}); }), "the process is exiting");
  ExitGate::reopen();
}

}  // namespace
}  // namespace onnx_engine::onnxruntime
