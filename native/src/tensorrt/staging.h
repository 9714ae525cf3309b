#pragma once

#include "memory.h"

#include <mutex>
#include <utility>

namespace onnx_engine::tensorrt {

// Pinned blocks that hold inputs until they are uploaded. A caller copies its input into a free block, and that is the
// only copy on the host. When no block is free the caller copies it into other memory, and the inference copies that
// into a block later.
class Staging {
 public:
  // Returns to the pool when it is destroyed, on any thread.
  class Block {
   public:
    Block() = default;
    Block(Block&& other) noexcept
        : staging_(std::exchange(other.staging_, nullptr)),
          memory_(std::exchange(other.memory_, nullptr)),
          lent_(other.lent_) {}
    Block& operator=(Block&& other) noexcept {
      std::swap(staging_, other.staging_);
      std::swap(memory_, other.memory_);
      std::swap(lent_, other.lent_);
      return *this;
    }
    ~Block() {
      if (memory_ != nullptr) staging_->giveBack(*memory_, lent_);
    }

    // Null for an empty Block.
    void* data() const { return memory_ == nullptr ? nullptr : memory_->data(); }

   private:
    friend class Staging;
    Block(Staging& staging, Memory& memory, bool lent) : staging_(&staging), memory_(&memory), lent_(lent) {}

    Staging* staging_ = nullptr;
    Memory* memory_ = nullptr;
    bool lent_ = false;
  };

  // Lends at most `most` blocks to callers at once, so that a long queue does not pin all memory of the machine;
  // inferences take no more than that either.
  Staging(Device& device, size_t most) : device_(device), most_(most) {}

  // A free block that is large enough, or an empty one. Any thread: it never allocates, because the driver would make
  // the caller wait.
  Block lend(size_t bytes);

  // A block for an inference, on a thread where the device is current. Throws when memory has run out.
  Block take(size_t bytes);

 private:
  void giveBack(Memory& memory, bool lent) noexcept;

  Device& device_;
  size_t most_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Memory>> blocks_;
  std::vector<Memory*> free_;
  size_t lentOut_ = 0;
};

}  // namespace onnx_engine::tensorrt
