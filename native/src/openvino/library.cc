#include "library.h"

#include "../format.h"

#include <map>
#include <mutex>
#include <stdexcept>

namespace onnx_engine::openvino {

namespace {

constexpr ElementType elementTypes[] = {
    {BOOLEAN, "bool", 1}, {BF16, "bfloat16", 2}, {F16, "float16", 2}, {F32, "float32", 4}, {F64, "float64", 8},
    {I8, "int8", 1},      {I16, "int16", 2},     {I32, "int32", 4},   {I64, "int64", 8},   {U8, "uint8", 1},
    {U16, "uint16", 2},   {U32, "uint32", 4},    {U64, "uint64", 8},
};

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

const Library& Library::open(const std::string& path) {
  static std::mutex mutex;
  static auto* opened = new std::map<std::string, const Library*>();
  const std::lock_guard<std::mutex> lock(mutex);
  auto& library = (*opened)[path];
  if (library == nullptr) library = new Library(path);
  return *library;
}

Library::Library(const std::string& path) : library_(path) {
  std::string missing;
#define X(function)                                                          \
  function = reinterpret_cast<decltype(function)>(library_.find(#function)); \
  if (function == nullptr) missing += missing.empty() ? #function : ", " #function;
  ONNX_ENGINE_OPENVINO_FUNCTIONS(X)
#undef X
  if (!missing.empty())
    throw std::runtime_error(format("{} is not a usable OpenVINO C library; it lacks {}", path, missing));

  ov_version_t version{};
  check(ov_get_openvino_version(&version), "ov_get_openvino_version");
  version_ = version.buildNumber;
  ov_version_free(&version);
  checkElementTypes();
  keeper_ = createCore("", {});
}

// The numbers of ov_element_type_e changed between releases: up to 2025.0 there is one more at the start. The size of a
// tensor of one element shows whether this library numbers them as our headers do. Otherwise we would read every tensor
// with the wrong type.
void Library::checkElementTypes() const {
  int64_t one = 1;
  for (const auto& [type, name, bytes] : elementTypes) {
    ov_tensor_t* raw = nullptr;
    size_t size = 0;
    const ov_status_e status = ov_tensor_create(type, {1, &one}, &raw);
    const Handle<ov_tensor_t> tensor(raw, ov_tensor_free);
    if (status == OK) check(ov_tensor_get_byte_size(raw, &size), "ov_tensor_get_byte_size");
    if (size != bytes)
      throw std::runtime_error(
          format("OpenVINO {} numbers its element types differently ({}): use 2025.4 or newer", version_, name));
  }
}

void Library::check(ov_status_e status, const char* call) const {
  if (status == OK) return;
  std::string message = format("{}: {}", call, ov_get_error_info(status));
  if (const char* text = ov_get_last_err_msg()) {
    if (*text != '\0') message += ": " + trimmed(text);
    ov_free(text);
  }
  throw std::runtime_error(message);
}

Handle<ov_core_t> Library::createCore(const std::string& device, const Properties& properties) const {
  ov_core_t* raw = nullptr;
  check(ov_core_create(&raw), "ov_core_create");
  Handle<ov_core_t> core(raw, ov_core_free);
  for (const auto& [key, value] : properties) {
    const std::string call = format("ov_core_set_property({}, {}={})", device, key, value);
    check(ov_core_set_property(core.get(), device.c_str(), key.c_str(), value.c_str()), call.c_str());
  }
  return core;
}

std::string Library::property(const ov_core_t* core, const std::string& device, const char* key) const {
  char* value = nullptr;
  if (ov_core_get_property(core, device.c_str(), key, &value) != OK || value == nullptr) return "";
  std::string text = value;
  ov_free(value);
  return text;
}

std::string Library::property(const ov_compiled_model_t* model, const char* key) const {
  char* value = nullptr;
  if (ov_compiled_model_get_property(model, key, &value) != OK || value == nullptr) return "";
  std::string text = value;
  ov_free(value);
  return text;
}

const ElementType& elementType(ov_element_type_e type) {
  for (const auto& known : elementTypes) {
    if (known.type == type) return known;
  }
  throw std::runtime_error(format("JavaScript cannot hold the element type {} of OpenVINO", static_cast<int>(type)));
}

}  // namespace onnx_engine::openvino
