#pragma once

#include <string>

namespace onnx_engine::tensorrt {

// Opens a library of plugins, which belongs to the library of TensorRT at the other path, and registers the plugins for
// all networks and engines of this process. Does nothing for "". Throws std::runtime_error when the file is not such a
// library.
void loadPlugins(const std::string& library, const std::string& path);

}  // namespace onnx_engine::tensorrt
