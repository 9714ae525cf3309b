#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace onnx_engine {

// How many runs of all models may go on at once in a process. Threads get their turns in the order in which they asked.
// A model asks with no more threads than it may run calls at once, so one with a thousand calls waiting delays another
// model by no more than that.
class Turns {
 public:
  explicit Turns(size_t count) : free_(count) {}

  // Waits for a turn; false, without one, once `givenUp` is set.
  bool take(const std::atomic<bool>& givenUp);
  void give();

  // Call it after setting a `givenUp`.
  void wake();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<const void*> waiting_;
  size_t free_;
};

}  // namespace onnx_engine
