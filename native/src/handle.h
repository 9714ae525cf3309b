#pragma once

#include <memory>

namespace onnx_engine {

// An object of a C API with the function that frees it.
template <typename T>
using Handle = std::unique_ptr<T, void (*)(T*)>;

}  // namespace onnx_engine
