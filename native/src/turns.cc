#include "turns.h"

#include <algorithm>

namespace onnx_engine {

bool Turns::take(const std::atomic<bool>& givenUp) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (free_ > 0 && waiting_.empty()) {
    free_--;
    return true;
  }
  // Any address of this call's own names it.
  const void* self = &lock;
  waiting_.push_back(self);
  changed_.wait(lock, [&] { return givenUp.load() || (free_ > 0 && waiting_.front() == self); });
  const bool taken = free_ > 0 && waiting_.front() == self;
  if (taken) free_--;
  waiting_.erase(std::find(waiting_.begin(), waiting_.end(), self));
  // The next one may have a turn, too.
  changed_.notify_all();
  return taken;
}

void Turns::give() {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_++;
  if (!waiting_.empty()) changed_.notify_all();
}

void Turns::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  changed_.notify_all();
}

}  // namespace onnx_engine
