#include "staging.h"

namespace onnx_engine::tensorrt {

Staging::Block Staging::lend(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (lentOut_ >= most_) return {};
  // The smallest that fits: larger ones stay free for larger inputs.
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if ((*it)->capacity() >= std::max<size_t>(bytes, 1) &&
        (best == free_.end() || (*it)->capacity() < (*best)->capacity()))
      best = it;
  }
  if (best == free_.end()) return {};
  Memory& memory = **best;
  free_.erase(best);
  lentOut_++;
  return {*this, memory, true};
}

Staging::Block Staging::take(size_t bytes) {
  Memory* memory = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // The largest is the least likely to have to grow.
    const auto best = std::max_element(free_.begin(), free_.end(),
                                       [](const Memory* a, const Memory* b) { return a->capacity() < b->capacity(); });
    if (best != free_.end()) {
      memory = *best;
      free_.erase(best);
    } else {
      // Room for its return, which must not fail.
      free_.reserve(blocks_.size() + 1);
      blocks_.push_back(std::make_unique<Memory>(device_, true));
      memory = blocks_.back().get();
    }
  }
  Block block(*this, *memory, false);
  memory->grow(bytes);
  return block;
}

void Staging::giveBack(Memory& memory, bool lent) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(&memory);
  if (lent) lentOut_--;
}

}  // namespace onnx_engine::tensorrt
