#include "exit_gate.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>

namespace onnx_engine {

namespace {

struct State {
  // Of `passes` and `closed`.
  std::mutex mutex;
  std::condition_variable left;
  size_t passes = 0;
  bool closed = false;
  // Held while members are called, so that none is destroyed meanwhile.
  std::mutex membersMutex;
  std::set<ExitGate::Member*> members;
};

// Never freed: threads may leave after the destructors of this addon's statics.
State& state() {
  static auto* instance = new State();
  return *instance;
}

}  // namespace

ExitGate::Membership::Membership(Member& member) : member_(member) {
  const std::lock_guard<std::mutex> lock(state().membersMutex);
  state().members.insert(&member_);
}

ExitGate::Membership::~Membership() {
  const std::lock_guard<std::mutex> lock(state().membersMutex);
  state().members.erase(&member_);
}

ExitGate::Pass::Pass() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  if (state().closed) throw std::runtime_error("the process is exiting");
  state().passes++;
}

ExitGate::Pass::~Pass() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  if (--state().passes == 0) state().left.notify_all();
}

bool ExitGate::close(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  const auto forMembers = [](auto action) {
    const std::lock_guard<std::mutex> lock(state().membersMutex);
    for (auto* member : state().members) action(*member);
  };
  {
    const std::lock_guard<std::mutex> lock(state().mutex);
    state().closed = true;
  }
  forMembers([](Member& member) { member.cancelAll(); });
  bool ended = false;
  {
    std::unique_lock<std::mutex> lock(state().mutex);
    ended = state().left.wait_until(lock, end, [] { return state().passes == 0; });
  }
  // Again: an engine may have been opened, or an inference started, by a pass that was inside.
  forMembers([](Member& member) { member.cancelAll(); });
  forMembers([&](Member& member) { ended = member.settle(end) && ended; });
  return ended;
}

void ExitGate::reopen() {
  const std::lock_guard<std::mutex> lock(state().mutex);
  state().closed = false;
}

}  // namespace onnx_engine
