#pragma once

#include "exit_gate.h"
#include "turns.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace onnx_engine {

// One inference, as the queue sees it. One of `run` and `drop` is called, once.
struct QueuedCall {
  // On a thread of the queue, with the number of that thread. Must not throw.
  std::function<void(size_t thread)> run;
  // It will not be run, on the thread that cancels, stops or exits. Must not throw, block, or call into the queue.
  std::function<void(const char* reason, bool cancelled)> drop;
  // Asks a `run` that has begun to end early; empty where that cannot be. Must not throw, block, or call into the
  // queue.
  std::function<void()> interrupt;
};

// The inferences of one engine, on threads of their own: libuv has four for the whole process, which files and DNS
// need. A thread is started when a call finds none idle. To wake a thread that sleeps takes 50 us on a virtual machine,
// so one that has just run a short call looks out for the next for a moment before it sleeps. Any thread may call.
class CallQueue : public ExitGate::Member {
 public:
  // `threads`: how many calls run at once. `turns`, if any, are shared with other queues, and outlive them.
  explicit CallQueue(size_t threads, Turns* turns = nullptr);

  // See `stop`.
  ~CallQueue() override;

  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  // Returns the number to cancel it by. Throws std::system_error when there is no thread and none can be started.
  uint64_t push(QueuedCall call);

  // Whether a call that is pushed now would begin at once, on a thread that looks out for it.
  bool isAwake() const { return lookouts_.load(std::memory_order_relaxed) > 0; }

  // How long the last call ran.
  std::chrono::nanoseconds lastRun() const {
    return std::chrono::nanoseconds(lastRun_.load(std::memory_order_relaxed));
  }

  // Drops a call that waits, or interrupts one that runs; it has no effect on one that has ended.
  void cancel(uint64_t id);

  // Drops what waits, interrupts what runs, and waits for its end. No call is run or dropped after this.
  void stop();

  void cancelAll() noexcept override { close("the process is exiting"); }
  bool settle(ExitGate::Clock::time_point end) noexcept override;

 private:
  struct Entry {
    uint64_t id = 0;
    QueuedCall call;
  };

  void startThread();
  void lookOut(std::unique_lock<std::mutex>& lock);
  void work(size_t thread);
  void close(const char* reason);

  const size_t limit_;
  Turns* const turns_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  std::deque<Entry> waiting_;
  std::vector<std::thread> threads_;
  // By thread: the call that it runs, or null.
  std::vector<const Entry*> running_;
  size_t idle_ = 0;
  size_t busy_ = 0;
  uint64_t last_ = 0;
  // Also read by `Turns`, without the lock.
  std::atomic<bool> closing_{false};
  // Those that follow change with the lock, or on the thread that runs a call, and are read without the lock.
  std::atomic<size_t> pushed_{0};
  std::atomic<size_t> lookouts_{0};
  std::atomic<int64_t> lastRun_{0};
  ExitGate::Membership membership_{*this};
};

}  // namespace onnx_engine
