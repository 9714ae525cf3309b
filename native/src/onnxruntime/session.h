#pragma once

#include "tensor.h"

namespace onnx_engine::onnxruntime {

struct Port {
  std::string name;
  const ElementType* type;
};

struct SessionSettings {
  // Threads that one run may use; 0 for ONNX Runtime's own choice.
  int threads = 0;
  // Names in the order that `run` uses.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  // External data of an .onnx file, in memory until the session is open; and the file as which the model names it.
  void* weights = nullptr;
  size_t weightsBytes = 0;
  std::string weightsName{};
};

// A loaded engine. Any thread may call; several runs may go on at once.
class Session {
 public:
  // Opens an engine, either in ONNX Runtime's own format (.ort), which was optimised when it was compiled, or an .onnx
  // file, which is optimised now. ONNX Runtime computes on the bytes of the former, which must outlive the session: see
  // `usesBytes`. Blocks for tens of milliseconds. Throws std::runtime_error.
  Session(const Library& library, const void* bytes, size_t size, const SessionSettings& settings);

  // Whether an engine is computed on in place.
  static bool usesBytes(const void* bytes, size_t size);

  const Library& library() const { return library_; }
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }

  Handle<OrtRunOptions> runOptions() const;

  // Runs the model on inputs in the order of `inputs()`. Targets are in the order of `outputs()`. Throws
  // std::runtime_error.
  std::vector<Output> run(const std::vector<Tensor>& inputs, const std::vector<Target>& targets,
                          const OrtRunOptions* options) const;

 private:
  std::vector<Port> describe(const std::vector<std::string>& names, bool input) const;
  std::vector<OrtValue*> runRaw(const std::vector<const OrtValue*>& inputs,
                                const std::vector<Handle<OrtValue>>& targets, const OrtRunOptions* options) const;

  const Library& library_;
  Handle<OrtSession> session_{nullptr, nullptr};
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  // What `OrtApi::Run` takes: pointers into the ports.
  std::vector<const char*> inputNames_;
  std::vector<const char*> outputNames_;
};

}  // namespace onnx_engine::onnxruntime
