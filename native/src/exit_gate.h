#pragma once

#include <chrono>

namespace onnx_engine {

// Lets the process exit while an engine library works. `exit()` runs the destructors of a library's statics, and does
// not wait for its threads: 12 of 180 exits in the middle of an OpenVINO inference ended in SIGSEGV. So JavaScript
// closes the gate in its 'exit' event, which comes first, also after an uncaught error. Signals without a handler end
// the process without running any destructor.
//
// One gate for each addon and process; all environments (worker_threads) share it. Any thread may call.
class ExitGate {
 public:
  using Clock = std::chrono::steady_clock;

  // Whatever has inferences in flight.
  class Member {
   public:
    virtual ~Member() = default;

    // Starts nothing from now on, drops what waits, and asks what runs to stop. May be called more than once.
    virtual void cancelAll() noexcept = 0;

    // Waits until nothing runs, or until `end`; false in that case.
    virtual bool settle(Clock::time_point end) noexcept = 0;
  };

  // Makes a member known for as long as this lives. Declare it last: the member must be complete while it is known.
  class Membership {
   public:
    explicit Membership(Member& member);
    ~Membership();
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

   private:
    Member& member_;
  };

  // A piece of work inside an engine library that cannot be cancelled, such as opening an engine. The constructor
  // throws std::runtime_error when the gate is closed.
  class Pass {
   public:
    Pass();
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
  };

  // Refuses all that comes, cancels what runs, and waits for its end, but no longer than `limit`: false in that case.
  static bool close(std::chrono::milliseconds limit);

  // For tests: lets work in again.
  static void reopen();
};

}  // namespace onnx_engine
