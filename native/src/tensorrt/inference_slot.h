#pragma once

#include "staging.h"
#include "tensor.h"

namespace onnx_engine::tensorrt {

// Milliseconds of the GPU in one inference: copies of the inputs, the engine, copies of the outputs.
struct GpuTimes {
  float upload = 0;
  float compute = 0;
  float download = 0;
};

// Everything that one inference at a time needs: an execution context, a stream, memory. Used by one thread, on which
// the device is current.
//
// Profile, dims and addresses stay set in the context, so an inference like the last one is only uploads, one launch
// and a wait. Uploads are not part of a graph: each reads another block.
class InferenceSlot {
 public:
  // With `timed`, events of CUDA time each inference. Downloads are then not part of a graph either.
  InferenceSlot(Device& device, Plan& plan, Staging& staging, bool graphs, bool timed);

  ~InferenceSlot();

  InferenceSlot(const InferenceSlot&) = delete;
  InferenceSlot& operator=(const InferenceSlot&) = delete;

  // Inputs are in the order of the plan's input ports. Outputs are written to `targets`, in the order of the output
  // ports, where a target has the size of its output; other outputs have memory of their own. When it throws, all work
  // that was begun has ended.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets);

  // Of the last `run`, when it is timed.
  GpuTimes times() const;

 private:
  struct PortBuffers;

  void bind(const std::vector<Tensor>& inputs);
  bool isBound(size_t profile, const std::vector<Tensor>& inputs) const;
  void bindInput(PortBuffers& buffers, const Tensor& tensor);
  void bindOutput(PortBuffers& buffers);
  void upload(const std::vector<Tensor>& inputs, std::vector<Staging::Block>& blocks);
  void execute();
  void capture();
  void enqueue();
  void compute();
  void downloadAll();
  void download(PortBuffers& buffers);
  void mark(size_t event);
  std::vector<Tensor> collect(const std::vector<Target>& targets) const;
  void unbind();
  void dropGraph();

  Device& device_;
  Plan& plan_;
  Staging& staging_;
  bool graphs_;
  // Around the uploads, the engine and the downloads, in this order; empty without timing.
  std::vector<Event> events_;
  // TensorRT holds addresses of these.
  std::vector<std::unique_ptr<PortBuffers>> inputs_;
  std::vector<std::unique_ptr<PortBuffers>> outputs_;
  std::unique_ptr<Execution> execution_;
  Stream stream_ = nullptr;
  Graph graph_ = nullptr;
  size_t profile_ = 0;
  size_t repeats_ = 0;
  bool bound_ = false;
  // Whether an output has dims that are known only after the inference.
  bool dynamic_ = false;
};

}  // namespace onnx_engine::tensorrt
