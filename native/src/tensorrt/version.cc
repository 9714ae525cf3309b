#include "version.h"

#include "../format.h"

namespace onnx_engine::tensorrt {

std::string Version::text() const { return format("{}.{}.{}.{}", major, minor, patch, build); }

}  // namespace onnx_engine::tensorrt
