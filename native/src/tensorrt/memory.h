#pragma once

#include "gpu.h"

#include <algorithm>

namespace onnx_engine::tensorrt {

// Memory that grows and never shrinks, because large shapes tend to return. Growing moves it, so graphs that hold its
// address become invalid, and no copy from or to it may be running. Used on threads where the device is current: only
// they can allocate and free.
class Memory {
 public:
  Memory(Device& device, bool pinned) : device_(device), pinned_(pinned) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { release(); }

  // At least one byte: an empty tensor needs an address too.
  void grow(size_t bytes) {
    if (data_ != nullptr && bytes <= capacity_) return;
    release();
    const size_t least = std::max<size_t>(bytes, 1);
    data_ = pinned_ ? device_.allocatePinned(least) : device_.allocate(least);
    capacity_ = least;
  }

  void* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  void release() noexcept {
    if (data_ == nullptr) return;
    if (pinned_)
      device_.freePinned(data_);
    else
      device_.free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

  Device& device_;
  bool pinned_;
  void* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace onnx_engine::tensorrt
