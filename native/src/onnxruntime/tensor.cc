#include "tensor.h"

#include <cstring>
#include <limits>
#include <stdexcept>

namespace onnx_engine::onnxruntime {

namespace {

constexpr ElementType elementTypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "float32", 4},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, "uint8", 1},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, "int8", 1},      {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, "uint16", 2},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, "int16", 2},    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, "int32", 4},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "int64", 8},    {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, "string", 0},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, "bool", 1},      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, "float16", 2},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, "float64", 8}, {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, "uint32", 4},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, "uint64", 8},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, "bfloat16", 2},
};

// ONNX Runtime refuses a null pointer, which is what an empty tensor has.
void* addressOf(void* data) {
  static char nothing = 0;
  return data == nullptr ? &nothing : data;
}

Handle<OrtValue> overBytes(const Library& library, const ElementType& type, void* data, size_t bytes,
                           const std::vector<int64_t>& dims) {
  if (elementCount(dims) > std::numeric_limits<size_t>::max() / type.bytes || elementCount(dims) * type.bytes != bytes)
    throw std::runtime_error("a tensor has another size than its dims");
  OrtValue* raw = nullptr;
  library.check(library.api().CreateTensorWithDataAsOrtValue(library.memory(), addressOf(data), bytes, dims.data(),
                                                             dims.size(), type.type, &raw));
  return {raw, library.api().ReleaseValue};
}

void readStrings(const Library& library, const OrtValue* value, size_t count, std::vector<std::string>& strings) {
  // ONNX Runtime gives all texts in a row, and where each begins: NUL characters end none.
  size_t length = 0;
  library.check(library.api().GetStringTensorDataLength(value, &length));
  std::string text(length, '\0');
  std::vector<size_t> offsets(count);
  if (count == 0) return;
  library.check(library.api().GetStringTensorContent(value, text.data(), length, offsets.data(), count));
  strings.reserve(count);
  for (size_t i = 0; i < count; i++) {
    const size_t end = i + 1 < count ? offsets[i + 1] : length;
    strings.push_back(text.substr(offsets[i], end - offsets[i]));
  }
}

}  // namespace

const ElementType& elementType(ONNXTensorElementDataType type) {
  for (const auto& known : elementTypes) {
    if (known.type == type) return known;
  }
  throw std::runtime_error("element type " + std::to_string(type) + " of ONNX Runtime cannot cross into JavaScript");
}

size_t elementCount(const std::vector<int64_t>& dims) {
  size_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0) throw std::runtime_error("a tensor has a negative dim");
    const auto factor = static_cast<size_t>(dim);
    if (factor != 0 && count > std::numeric_limits<size_t>::max() / factor)
      throw std::runtime_error("a tensor is too large");
    count *= factor;
  }
  return count;
}

Handle<OrtValue> toValue(const Library& library, const ElementType& type, const Tensor& tensor) {
  if (type.bytes > 0) return overBytes(library, type, tensor.data, tensor.bytes, tensor.dims);
  if (elementCount(tensor.dims) != tensor.strings.size())
    throw std::runtime_error("a tensor has another size than its dims");
  const OrtApi& api = library.api();
  OrtValue* raw = nullptr;
  library.check(
      api.CreateTensorAsOrtValue(library.allocator(), tensor.dims.data(), tensor.dims.size(), type.type, &raw));
  Handle<OrtValue> value(raw, api.ReleaseValue);
  for (size_t i = 0; i < tensor.strings.size(); i++) {
    // Unlike FillStringTensor, which reads up to the first NUL.
    char* buffer = nullptr;
    const std::string& text = tensor.strings[i];
    library.check(api.GetResizedStringTensorElementBuffer(raw, i, text.size(), &buffer));
    if (!text.empty()) std::memcpy(buffer, text.data(), text.size());
  }
  return value;
}

Handle<OrtValue> toValue(const Library& library, const ElementType& type, const Target& target) {
  return overBytes(library, type, target.data, target.bytes, target.dims);
}

Output fromValue(const Library& library, const ElementType& type, Handle<OrtValue> value) {
  const OrtApi& api = library.api();
  int isTensor = 0;
  if (value) library.check(api.IsTensor(value.get(), &isTensor));
  if (isTensor == 0) throw std::runtime_error("an output has no tensor");
  OrtTensorTypeAndShapeInfo* rawInfo = nullptr;
  library.check(api.GetTensorTypeAndShape(value.get(), &rawInfo));
  const Handle<OrtTensorTypeAndShapeInfo> info(rawInfo, api.ReleaseTensorTypeAndShapeInfo);
  ONNXTensorElementDataType actual = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  library.check(api.GetTensorElementType(rawInfo, &actual));
  if (actual != type.type)
    throw std::runtime_error(std::string("an output is ") + elementType(actual).name + " instead of " + type.name);

  Output output;
  size_t rank = 0;
  library.check(api.GetDimensionsCount(rawInfo, &rank));
  output.dims.resize(rank);
  library.check(api.GetDimensions(rawInfo, output.dims.data(), rank));
  const size_t count = elementCount(output.dims);
  output.bytes = count * type.bytes;
  if (type.bytes == 0) {
    readStrings(library, value.get(), count, output.strings);
  } else if (count > 0) {
    void* data = nullptr;
    library.check(api.GetTensorMutableData(value.get(), &data));
    output.data = data;
  }
  output.value = std::move(value);
  return output;
}

}  // namespace onnx_engine::onnxruntime
