#pragma once

#include "memory.h"

#include <mutex>
#include <utility>

namespace onnx_engine::tensorrt {

// Pinned blocks that inputs wait in until they are uploaded. A caller copies its input into a block that is free, so
// that this is the only copy on the host; when none is, into memory of its own, which the inference copies into a block
// later.
class Staging {
 public:
  // Goes back when it is destroyed, on any thread.
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

    // Null when the block is none.
    void* data() const { return memory_ == nullptr ? nullptr : memory_->data(); }

   private:
    friend class Staging;
    Block(Staging& staging, Memory& memory, bool lent) : staging_(&staging), memory_(&memory), lent_(lent) {}

    Staging* staging_ = nullptr;
    Memory* memory_ = nullptr;
    bool lent_ = false;
  };

  // `most` blocks are lent to callers at once, so that a long queue does not pin the memory of the machine; inferences
  // take no more than that either.
  Staging(Device& device, size_t most) : device_(device), most_(most) {}

  // A block that is free and large enough, or none. Any thread: nothing is allocated, since the driver would make the
  // caller wait.
  Block lend(size_t bytes);

  // A block for an inference, on a thread that is on the device. Throws when memory has run out.
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
