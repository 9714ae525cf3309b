#include "call_queue.h"

#include <algorithm>
#include <system_error>

namespace onnx_engine {

namespace {

using Clock = std::chrono::steady_clock;

// After a call that took no longer than this, a thread looks out for the next; that much more of a longer one is noise.
constexpr std::chrono::milliseconds shortCall{1};

// Longer than an event loop takes to wake, handle the result and call again.
constexpr std::chrono::microseconds lookOutTime{200};

}  // namespace

CallQueue::CallQueue(size_t threads, Turns* turns) : limit_(std::max<size_t>(threads, 1)), turns_(turns) {
  running_.resize(limit_, nullptr);
  threads_.reserve(limit_);
}

CallQueue::~CallQueue() { stop(); }

uint64_t CallQueue::push(QueuedCall call) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t id = ++last_;
  if (closing_) {
    lock.unlock();
    call.drop("the engine is closed", false);
    return id;
  }
  // Before the call is queued: what throws here must leave no call behind.
  if (waiting_.size() >= idle_ && threads_.size() < limit_) startThread();
  waiting_.push_back({id, std::move(call)});
  pushed_++;
  // A thread that looks out takes one.
  if (waiting_.size() > lookouts_) wake_.notify_one();
  return id;
}

void CallQueue::startThread() {
  try {
    threads_.emplace_back([this, thread = threads_.size()] { work(thread); });
  } catch (const std::system_error&) {
    // The threads that there are do the work.
    if (threads_.empty()) throw;
  }
}

void CallQueue::cancel(uint64_t id) {
  Entry dropped;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [id](const Entry& it) { return it.id == id; });
    if (found == waiting_.end()) {
      for (const auto* entry : running_) {
        if (entry != nullptr && entry->id == id && entry->call.interrupt) entry->call.interrupt();
      }
      return;
    }
    dropped = std::move(*found);
    waiting_.erase(found);
  }
  dropped.call.drop("the inference was cancelled", true);
}

void CallQueue::close(const char* reason) {
  std::deque<Entry> left;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    left.swap(waiting_);
    for (const auto* entry : running_) {
      if (entry != nullptr && entry->call.interrupt) entry->call.interrupt();
    }
  }
  wake_.notify_all();
  if (turns_ != nullptr) turns_->wake();
  for (auto& entry : left) entry.call.drop(reason, false);
}

void CallQueue::stop() {
  close("the engine is closed");
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool CallQueue::settle(ExitGate::Clock::time_point end) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  return settled_.wait_until(lock, end, [this] { return busy_ == 0; });
}

// One thread of a queue at a time, and none where it would keep the only processor from the caller.
void CallQueue::lookOut(std::unique_lock<std::mutex>& lock) {
  static const bool severalProcessors = std::thread::hardware_concurrency() > 1;
  if (!severalProcessors || closing_ || !waiting_.empty() || lookouts_ > 0 || lastRun() > shortCall) return;
  const size_t seen = pushed_;
  lookouts_ = 1;
  lock.unlock();
  const auto end = Clock::now() + lookOutTime;
  while (pushed_ == seen && !closing_ && Clock::now() < end) std::this_thread::yield();
  lock.lock();
  lookouts_ = 0;
}

void CallQueue::work(size_t thread) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (bool first = true;; first = false) {
    idle_++;
    if (!first) lookOut(lock);
    wake_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    idle_--;
    if (closing_) return;
    if (turns_ != nullptr) {
      // Waited for before a call is taken: it can be dropped until then.
      lock.unlock();
      const bool turn = turns_->take(closing_);
      lock.lock();
      if (!turn) return;
      if (waiting_.empty()) {
        turns_->give();
        continue;
      }
    }
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    running_[thread] = &entry;
    busy_++;
    lock.unlock();
    const auto begun = Clock::now();
    entry.call.run(thread);
    lastRun_ = std::chrono::nanoseconds(Clock::now() - begun).count();
    if (turns_ != nullptr) turns_->give();
    lock.lock();
    running_[thread] = nullptr;
    lock.unlock();
    // What it holds may belong to the engine library, which nobody may be inside once this queue has settled.
    entry.call = {};
    lock.lock();
    if (--busy_ == 0) settled_.notify_all();
  }
}

}  // namespace onnx_engine
