#include "engine.h"

#include "../format.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace onnx_engine::openvino {

// At a fixed address: OpenVINO keeps the pointers to `callback` and to the request itself.
struct Engine::Request {
  Engine* engine;
  size_t index;
  Handle<ov_infer_request_t> handle{nullptr, nullptr};
  ov_callback_t callback{};
  // True from start until finish. It also makes the starting thread's writes visible to OpenVINO's thread in `done`.
  std::atomic<bool> busy{false};
  // The request's own tensors, by input; `borrowed` marks those that are replaced by the caller's memory now.
  std::vector<Handle<ov_tensor_t>> own;
  std::vector<bool> borrowed;
};

namespace {

size_t byteSize(const Port& port, const std::vector<int64_t>& dims) {
  size_t size = port.type.bytes;
  for (const int64_t dim : dims) {
    if (dim < 0) throw std::runtime_error(format("input '{}' has a negative dim", port.name));
    const auto count = static_cast<size_t>(dim);
    if (count != 0 && size > std::numeric_limits<size_t>::max() / count)
      throw std::runtime_error(format("input '{}' is too large", port.name));
    size *= count;
  }
  return size;
}

bool fits(const Port& port, const std::vector<int64_t>& dims) {
  if (port.anyRank) return true;
  return std::equal(
      dims.begin(), dims.end(), port.dims.begin(), port.dims.end(),
      [](int64_t dim, const ov_dimension_t& bound) { return dim >= bound.min && (bound.max < 0 || dim <= bound.max); });
}

// OpenVINO does not write to the dims; only the const is missing in its C API.
ov_shape_t shapeOf(const std::vector<int64_t>& dims) {
  return {static_cast<int64_t>(dims.size()), const_cast<int64_t*>(dims.data())};
}

// The C API has no shapes of rank 0: it refuses to read one. So a tensor of one element without a shape is a scalar.
std::vector<int64_t> dimsOf(const Library& library, const ov_tensor_t* tensor, bool isOneElement) {
  ov_shape_t shape{};
  const ov_status_e status = library.ov_tensor_get_shape(tensor, &shape);
  if (isOneElement && status == INVALID_C_PARAM) return {};
  library.check(status, "ov_tensor_get_shape");
  std::vector<int64_t> dims(shape.dims, shape.dims + shape.rank);
  library.ov_shape_free(&shape);
  return dims;
}

}  // namespace

Engine::Engine(const Library& library, const void* bytes, size_t size, const LoadSettings& settings)
    : library_(library), core_(library.createCore(settings.device, settings.properties)) {
  ov_compiled_model_t* model = nullptr;
  library_.check(library_.ov_core_import_model(core_.get(), static_cast<const char*>(bytes), size,
                                               settings.device.c_str(), &model),
                 "ov_core_import_model");
  model_ = {model, library_.ov_compiled_model_free};
  inputs_ = describe(settings.inputs, true);
  outputs_ = describe(settings.outputs, false);
  const std::string optimum = library_.property(model_.get(), "OPTIMAL_NUMBER_OF_INFER_REQUESTS");
  const int count = std::max(1, std::atoi(optimum.c_str()));
  for (int i = 0; i < count; i++) createRequest();
  membership_.emplace(*this);
}

Engine::~Engine() {
  membership_.reset();
  cancelAll();
  // A wait ends only after the callback has returned, so no callback runs once all waits are over.
  for (const auto& request : requests_) {
    if (request->busy.load()) library_.ov_infer_request_wait(request->handle.get());
  }
}

std::vector<Port> Engine::describe(const std::vector<std::string>& names, bool input) {
  std::vector<Port> ports;
  for (const auto& name : names) {
    ov_output_const_port_t* raw = nullptr;
    const auto find = input ? library_.ov_compiled_model_input_by_name : library_.ov_compiled_model_output_by_name;
    const std::string call = format("the engine's {} '{}'", input ? "input" : "output", name);
    library_.check(find(model_.get(), name.c_str(), &raw), call.c_str());
    auto& handles = input ? inputPorts_ : outputPorts_;
    handles.emplace_back(raw, library_.ov_output_const_port_free);

    ov_element_type_e type{};
    library_.check(library_.ov_port_get_element_type(raw, &type), "ov_port_get_element_type");
    ov_partial_shape_t shape{};
    library_.check(library_.ov_port_get_partial_shape(raw, &shape), "ov_port_get_partial_shape");
    Port port{name, elementType(type), {}, shape.rank.min != shape.rank.max};
    if (!port.anyRank) port.dims.assign(shape.dims, shape.dims + shape.rank.max);
    library_.ov_partial_shape_free(&shape);
    ports.push_back(std::move(port));
  }
  return ports;
}

void Engine::createRequest() {
  auto request = std::make_unique<Request>();
  request->engine = this;
  request->index = requests_.size();
  ov_infer_request_t* raw = nullptr;
  library_.check(library_.ov_compiled_model_create_infer_request(model_.get(), &raw),
                 "ov_compiled_model_create_infer_request");
  request->handle = {raw, library_.ov_infer_request_free};
  request->callback.args = request.get();
  request->callback.callback_func = [](void* args) {
    const auto& done = *static_cast<const Request*>(args);
    if (done.busy.load()) done.engine->done_(done.index);
  };
  library_.check(library_.ov_infer_request_set_callback(raw, &request->callback), "ov_infer_request_set_callback");
  for (const auto& port : inputPorts_) {
    ov_tensor_t* tensor = nullptr;
    library_.check(library_.ov_infer_request_get_tensor_by_const_port(raw, port.get(), &tensor),
                   "ov_infer_request_get_tensor_by_const_port");
    request->own.emplace_back(tensor, library_.ov_tensor_free);
  }
  request->borrowed.resize(inputPorts_.size(), false);
  requests_.push_back(std::move(request));
}

void Engine::start(size_t index, const std::vector<Tensor>& tensors, bool borrow) {
  const ExitGate::Pass pass;
  Request& request = *requests_.at(index);
  if (request.busy.load()) throw std::runtime_error(format("infer request {} is in use", index));
  if (tensors.size() != inputs_.size())
    throw std::runtime_error(format("expected {} inputs, received {}", inputs_.size(), tensors.size()));
  for (size_t i = 0; i < tensors.size(); i++) fill(request, i, tensors[i], borrow);
  request.busy.store(true);
  const ov_status_e status = library_.ov_infer_request_start_async(request.handle.get());
  if (status != OK) request.busy.store(false);
  library_.check(status, "ov_infer_request_start_async");
}

void Engine::fill(Request& request, size_t index, const Tensor& tensor, bool borrow) {
  const Port& port = inputs_[index];
  if (!fits(port, tensor.dims))
    throw std::runtime_error(format("input '{}' does not fit the shape that the engine was compiled for", port.name));
  if (tensor.bytes != byteSize(port, tensor.dims))
    throw std::runtime_error(format("input '{}' has {} bytes, which do not match its dims", port.name, tensor.bytes));
  const auto setTensor = [&](const ov_tensor_t* value) {
    library_.check(
        library_.ov_infer_request_set_tensor_by_const_port(request.handle.get(), inputPorts_[index].get(), value),
        "ov_infer_request_set_tensor_by_const_port");
  };
  // OpenVINO refuses a null pointer, which an empty tensor may have.
  if (borrow && tensor.bytes > 0) {
    ov_tensor_t* raw = nullptr;
    library_.check(library_.ov_tensor_create_from_host_ptr(port.type.type, shapeOf(tensor.dims), tensor.data, &raw),
                   "ov_tensor_create_from_host_ptr");
    const Handle<ov_tensor_t> view(raw, library_.ov_tensor_free);
    setTensor(view.get());
    request.borrowed[index] = true;
    return;
  }
  ov_tensor_t* own = request.own[index].get();
  library_.check(library_.ov_tensor_set_shape(own, shapeOf(tensor.dims)), "ov_tensor_set_shape");
  if (request.borrowed[index]) {
    setTensor(own);
    request.borrowed[index] = false;
  }
  if (tensor.bytes == 0) return;
  void* target = nullptr;
  library_.check(library_.ov_tensor_data(own, &target), "ov_tensor_data");
  std::memcpy(target, tensor.data, tensor.bytes);
}

std::vector<Tensor> Engine::finish(size_t index) {
  Request& request = *requests_.at(index);
  // The callback runs a few microseconds before the request is ready; a start in between would be lost.
  const ov_status_e status = library_.ov_infer_request_wait(request.handle.get());
  request.busy.store(false);
  library_.check(status, "ov_infer_request_wait");
  std::vector<Tensor> outputs;
  for (const auto& port : outputPorts_) {
    ov_tensor_t* raw = nullptr;
    library_.check(library_.ov_infer_request_get_tensor_by_const_port(request.handle.get(), port.get(), &raw),
                   "ov_infer_request_get_tensor_by_const_port");
    const Handle<ov_tensor_t> tensor(raw, library_.ov_tensor_free);
    Tensor output;
    library_.check(library_.ov_tensor_get_byte_size(raw, &output.bytes), "ov_tensor_get_byte_size");
    output.dims = dimsOf(library_, raw, output.bytes == outputs_[outputs.size()].type.bytes);
    if (output.bytes > 0) library_.check(library_.ov_tensor_data(raw, &output.data), "ov_tensor_data");
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void Engine::cancelAll() noexcept {
  for (const auto& request : requests_) {
    if (request->busy.load()) library_.ov_infer_request_cancel(request->handle.get());
  }
}

bool Engine::settle(ExitGate::Clock::time_point end) noexcept {
  bool ended = true;
  for (const auto& request : requests_) {
    if (!request->busy.load()) continue;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - ExitGate::Clock::now()).count();
    const ov_status_e status = library_.ov_infer_request_wait_for(request->handle.get(), std::max<int64_t>(left, 0));
    ended = ended && status != RESULT_NOT_READY;
  }
  return ended;
}

void Engine::cancel(size_t index) {
  const Request& request = *requests_.at(index);
  if (request.busy.load()) library_.ov_infer_request_cancel(request.handle.get());
}

}  // namespace onnx_engine::openvino
