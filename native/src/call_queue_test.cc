// Turns, queues and the exit gate without an engine library, under AddressSanitizer and ThreadSanitizer.
#include "call_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>

namespace onnx_engine {
namespace {

using std::chrono::milliseconds;

// A call that waits for `release`, and what became of it.
struct Blocked {
  std::promise<void> started;
  std::shared_future<void> release;
  std::promise<std::string> ended;

  QueuedCall call() {
    QueuedCall queued;
    queued.run = [this](size_t) {
      started.set_value();
      release.wait();
      ended.set_value("run");
    };
    queued.drop = [this](const char* reason, bool) { ended.set_value(reason); };
    return queued;
  }
};

TEST(CallQueue, RunsNoMoreCallsAtOnceThanItsThreads) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  Blocked calls[3];
  CallQueue queue(2);
  for (auto& blocked : calls) {
    blocked.release = released;
    queue.push(blocked.call());
  }
  calls[0].started.get_future().wait();
  calls[1].started.get_future().wait();
  auto third = calls[2].started.get_future();
  EXPECT_EQ(third.wait_for(milliseconds(20)), std::future_status::timeout);
  release.set_value();
  for (auto& blocked : calls) EXPECT_EQ(blocked.ended.get_future().get(), "run");
}

TEST(CallQueue, DropsACallThatWaitsForATurn) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  Turns turns(1);
  Blocked first;
  Blocked second;
  CallQueue one(1, &turns);
  first.release = second.release = released;
  one.push(first.call());
  first.started.get_future().wait();
  {
    CallQueue other(1, &turns);
    const uint64_t id = other.push(second.call());
    other.cancel(id);
    EXPECT_EQ(second.ended.get_future().get(), "the inference was cancelled");
    // Its thread waits for a turn that does not come.
  }
  release.set_value();
  EXPECT_EQ(first.ended.get_future().get(), "run");
}

// Threads sleep, look out for a call, or run one when others come: whenever that is, each call is run once.
TEST(CallQueue, RunsEveryShortCallOnceWheneverItComes) {
  constexpr int rounds = 3000;
  std::atomic<int> runs{0};
  CallQueue queue(2);
  const auto caller = [&](int burst) {
    for (int round = 0; round < rounds; round++) {
      std::atomic<int> left{burst};
      QueuedCall call;
      call.run = [&](size_t) {
        runs++;
        left--;
      };
      call.drop = [](const char*, bool) { FAIL(); };
      for (int i = 0; i < burst; i++) queue.push(call);
      while (left > 0) std::this_thread::yield();
    }
  };
  std::thread other(caller, 3);
  caller(1);
  other.join();
  EXPECT_EQ(runs, rounds * 4);
  EXPECT_LT(queue.lastRun(), std::chrono::seconds(10));
}

TEST(CallQueue, StopsWhileAThreadLooksOut) {
  for (int round = 0; round < 200; round++) {
    CallQueue queue(1);
    std::promise<void> ran;
    QueuedCall call;
    call.run = [&ran](size_t) { ran.set_value(); };
    call.drop = [](const char*, bool) {};
    queue.push(std::move(call));
    ran.get_future().wait();
    queue.stop();
    EXPECT_FALSE(queue.isAwake());
  }
}

TEST(CallQueue, DropsWhatComesAfterItWasStopped) {
  CallQueue queue(1);
  queue.stop();
  Blocked blocked;
  queue.push(blocked.call());
  EXPECT_EQ(blocked.ended.get_future().get(), "the engine is closed");
}

TEST(ExitGate, WaitsNoLongerThanItsLimit) {
  auto pass = std::make_unique<ExitGate::Pass>();
  EXPECT_FALSE(ExitGate::close(milliseconds(1)));
  pass.reset();
  EXPECT_TRUE(ExitGate::close(milliseconds(1)));
  ExitGate::reopen();
}

}  // namespace
}  // namespace onnx_engine
