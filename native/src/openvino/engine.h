#pragma once

#include "../exit_gate.h"
#include "library.h"

#include <functional>
#include <optional>

namespace onnx_engine::openvino {

// An input or output of an engine.
struct Port {
  std::string name;
  ElementType type;
  // Bounds of each dim, inclusive; max is -1 where there is none. Empty with `anyRank`, or for a scalar.
  std::vector<ov_dimension_t> dims;
  bool anyRank = false;
};

// The bytes of a tensor, owned by the caller or by a request.
struct Tensor {
  void* data = nullptr;
  size_t bytes = 0;
  std::vector<int64_t> dims;
};

struct LoadSettings {
  std::string device;
  Properties properties;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

// An imported blob with its infer requests. A request runs one inference at a time: start, then `done` is called on a
// thread of OpenVINO, then finish. The caller keeps track of free requests.
class Engine : public ExitGate::Member {
 public:
  // Imports the blob; blocks for tens of milliseconds. The bytes must outlive the engine: OpenVINO reads constants from
  // them whenever a shape changes, which its documentation does not mention.
  Engine(const Library& library, const void* bytes, size_t size, const LoadSettings& settings);

  // Cancels the inferences in flight and waits for them: after this, `done` is never called again.
  ~Engine() override;

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // How many inferences in flight are optimal for the device.
  size_t requests() const { return requests_.size(); }
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }

  // Sets the function that receives the number of a request when its inference has ended, with or without an error, on
  // a thread of OpenVINO. It must not throw, block, or call into this engine. Call this once, before the first start.
  void onDone(std::function<void(size_t)> done) { done_ = std::move(done); }

  // Starts an inference and returns at once. Copies the inputs into the request's tensors or, with `borrow`, reads them
  // in place: then they must stay alive and unchanged until `done`. Throws when an input does not fit.
  void start(size_t request, const std::vector<Tensor>& inputs, bool borrow);

  // The outputs of a request, after `done`. They point into the request and are valid until its next start. Throws the
  // error of the inference.
  std::vector<Tensor> finish(size_t request);

  // Asks OpenVINO to stop early; `done` is called in any case. Any thread, any time.
  void cancel(size_t request);

  void cancelAll() noexcept override;
  bool settle(ExitGate::Clock::time_point end) noexcept override;

 private:
  struct Request;

  std::vector<Port> describe(const std::vector<std::string>& names, bool input);
  void createRequest();
  void fill(Request& request, size_t index, const Tensor& tensor, bool borrow);

  const Library& library_;
  Handle<ov_core_t> core_{nullptr, nullptr};
  Handle<ov_compiled_model_t> model_{nullptr, nullptr};
  std::vector<Handle<ov_output_const_port_t>> inputPorts_;
  std::vector<Handle<ov_output_const_port_t>> outputPorts_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<std::unique_ptr<Request>> requests_;
  std::function<void(size_t)> done_;
  // From the end of the constructor on: the exit finds no engine half made.
  std::optional<ExitGate::Membership> membership_;
};

}  // namespace onnx_engine::openvino
