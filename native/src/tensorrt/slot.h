#pragma once

#include "staging.h"
#include "tensor.h"

namespace onnx_engine::tensorrt {

// Everything that one inference at a time needs: an execution context, a stream, memory. Used by one thread, which is
// on the device.
//
// What TensorRT is told (profile, dims, addresses) stays told, so that an inference like the last one is no more than
// uploads, one launch and a wait. Uploads are no part of a graph: each reads another block.
class Slot {
 public:
  Slot(Device& device, Plan& plan, Staging& staging, bool graphs);

  ~Slot();

  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  // Inputs in the order of the plan's input ports. Outputs are written to `targets`, in the order of the output ports,
  // where there is one and the output has its size; others have memory of their own. Throws after everything that was
  // begun has ended.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets);

 private:
  struct Side;

  void bind(const std::vector<Tensor>& inputs);
  bool isBound(size_t profile, const std::vector<Tensor>& inputs) const;
  void bindOutput(Side& side);
  void upload(const std::vector<Tensor>& inputs, std::vector<Staging::Block>& blocks);
  void execute();
  void capture();
  void enqueue();
  std::vector<Tensor> collect(const std::vector<Target>& targets) const;
  void unbind();
  void dropGraph();

  Device& device_;
  Plan& plan_;
  Staging& staging_;
  bool graphs_;
  // TensorRT is told addresses of these.
  std::vector<std::unique_ptr<Side>> sides_;
  std::unique_ptr<Execution> execution_;
  Stream stream_ = nullptr;
  Graph graph_ = nullptr;
  size_t profile_ = 0;
  size_t repeats_ = 0;
  bool bound_ = false;
  // Whether an output has dims that only the run tells.
  bool dynamic_ = false;
};

}  // namespace onnx_engine::tensorrt
