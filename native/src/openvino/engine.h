#pragma once

#include "library.h"

#include <functional>

namespace onnx_engine::openvino {

// An input or output of an engine.
struct Port {
  std::string name;
  ElementType type;
  // Bounds of each dim, inclusive; max is -1 where there is none. Empty with `anyRank`, or for a scalar.
  std::vector<ov_dimension_t> dims;
  bool anyRank = false;
};

// The bytes of a tensor that someone else owns.
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

// An imported blob with its infer requests. A request is used by one inference at a time: start, then `done` is called
// on a thread of OpenVINO, then finish. Which request is free is for the caller to know.
class Engine {
 public:
  // Imports the blob; blocks for tens of milliseconds. The bytes must outlive the engine: OpenVINO reads constants from
  // them whenever a shape changes, though its documentation does not say so.
  Engine(const Library& library, const void* bytes, size_t size, const LoadSettings& settings);

  // Cancels what is in flight and waits until OpenVINO has let go of it: after this, `done` is never called again.
  ~Engine();

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // How many inferences the device likes to have in flight.
  size_t requests() const { return requests_.size(); }
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }

  // Called with the number of a request when its inference has ended, well or not, on a thread of OpenVINO. Must not
  // throw, block, or call into this engine. Set it once, before the first start.
  void onDone(std::function<void(size_t)> done) { done_ = std::move(done); }

  // Starts an inference and returns at once. Copies the inputs into the request's tensors, or, with `borrow`, reads
  // them where they are: then they must stay alive and unchanged until `done`. Throws when an input does not fit.
  void start(size_t request, const std::vector<Tensor>& inputs, bool borrow);

  // The outputs of a request, after `done`. They point into the request and are valid until its next start. Throws what
  // went wrong.
  std::vector<Tensor> finish(size_t request);

  // Asks OpenVINO to stop early: `done` comes sooner, or as it would have. Any thread, any time.
  void cancel(size_t request);

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
};

}  // namespace onnx_engine::openvino
