#pragma once

#include "../handle.h"
#include "../library.h"

#include <openvino/c/openvino.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace onnx_engine::openvino {

// Every function of OpenVINO's C API that we call. The C ABI has no version of its own: we use a library that has all
// of these, and name the missing ones otherwise.
#define ONNX_ENGINE_OPENVINO_FUNCTIONS(X)      \
  X(ov_get_openvino_version)                   \
  X(ov_version_free)                           \
  X(ov_get_error_info)                         \
  X(ov_get_last_err_msg)                       \
  X(ov_free)                                   \
  X(ov_core_create)                            \
  X(ov_core_free)                              \
  X(ov_core_set_property)                      \
  X(ov_core_get_property)                      \
  X(ov_core_get_available_devices)             \
  X(ov_available_devices_free)                 \
  X(ov_core_read_model)                        \
  X(ov_core_read_model_from_memory_buffer)     \
  X(ov_core_compile_model)                     \
  X(ov_core_import_model)                      \
  X(ov_model_free)                             \
  X(ov_model_reshape)                          \
  X(ov_partial_shape_create)                   \
  X(ov_partial_shape_free)                     \
  X(ov_compiled_model_free)                    \
  X(ov_compiled_model_get_property)            \
  X(ov_compiled_model_export_model)            \
  X(ov_compiled_model_input_by_name)           \
  X(ov_compiled_model_output_by_name)          \
  X(ov_compiled_model_create_infer_request)    \
  X(ov_port_get_element_type)                  \
  X(ov_port_get_partial_shape)                 \
  X(ov_output_const_port_free)                 \
  X(ov_infer_request_free)                     \
  X(ov_infer_request_set_callback)             \
  X(ov_infer_request_get_tensor_by_const_port) \
  X(ov_infer_request_set_tensor_by_const_port) \
  X(ov_infer_request_start_async)              \
  X(ov_infer_request_wait)                     \
  X(ov_infer_request_wait_for)                 \
  X(ov_infer_request_cancel)                   \
  X(ov_tensor_create)                          \
  X(ov_tensor_create_from_host_ptr)            \
  X(ov_tensor_set_shape)                       \
  X(ov_tensor_get_shape)                       \
  X(ov_shape_free)                             \
  X(ov_tensor_get_byte_size)                   \
  X(ov_tensor_data)                            \
  X(ov_tensor_free)

struct Functions {
#define X(name) decltype(&::name) name = nullptr;
  ONNX_ENGINE_OPENVINO_FUNCTIONS(X)
#undef X
};

// Name and value of an OpenVINO property, such as {"PERFORMANCE_HINT", "LATENCY"}.
using Properties = std::vector<std::pair<std::string, std::string>>;

// An opened OpenVINO library. Any thread.
class Library : public Functions {
 public:
  // One per path and process, never freed: OpenVINO's threads outlive every model, and two environments of one process
  // (worker_threads) share it. Throws std::runtime_error when the file is not a library or lacks functions.
  static const Library& open(const std::string& path);

  // For example "2026.4.1-22982-e213a147257-releases/2026/4".
  const std::string& version() const { return version_; }

  // Throws std::runtime_error with the call, the status and OpenVINO's last error text. A process has one such text:
  // when two threads fail at the same time, one may get the text of the other.
  void check(ov_status_e status, const char* call) const;

  // Properties belong to a core, so each model has a core of its own. Creating one takes a millisecond.
  Handle<ov_core_t> createCore(const std::string& device, const Properties& properties) const;

  // The value of a property, or "" when the library or the device does not have it.
  std::string property(const ov_core_t* core, const std::string& device, const char* key) const;
  std::string property(const ov_compiled_model_t* model, const char* key) const;

 private:
  explicit Library(const std::string& path);
  void checkElementTypes() const;

  SharedLibrary library_;
  std::string version_;
  // Keeps the device plugins loaded between two models: loading one again costs tens of milliseconds.
  Handle<ov_core_t> keeper_{nullptr, nullptr};
};

// An element type with its name in JavaScript.
struct ElementType {
  ov_element_type_e type;
  const char* name;
  size_t bytes;
};

// Throws std::runtime_error for a type that no typed array can carry.
const ElementType& elementType(ov_element_type_e type);

}  // namespace onnx_engine::openvino
