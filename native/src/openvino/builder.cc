#include "builder.h"

namespace onnx_engine::openvino {

namespace {

void reshape(const Library& library, ov_model_t* model, const std::vector<InputShape>& inputs) {
  if (inputs.empty()) return;
  std::vector<const char*> names;
  std::vector<ov_partial_shape_t> shapes;
  const auto freeShapes = [&] {
    for (auto& shape : shapes) library.ov_partial_shape_free(&shape);
  };
  try {
    for (const auto& [input, dims] : inputs) {
      ov_partial_shape_t shape{};
      library.check(library.ov_partial_shape_create(static_cast<int64_t>(dims.size()), dims.data(), &shape),
                    "ov_partial_shape_create");
      shapes.push_back(shape);
      names.push_back(input.c_str());
    }
    // All inputs at once: with only one of them reshaped, the model may be invalid.
    library.check(library.ov_model_reshape(model, names.data(), shapes.data(), shapes.size()), "ov_model_reshape");
  } catch (...) {
    freeShapes();
    throw;
  }
  freeShapes();
}

}  // namespace

void build(const Library& library, const BuildSettings& settings) {
  const auto core = library.createCore(settings.device, settings.properties);
  ov_model_t* rawModel = nullptr;
  library.check(library.ov_core_read_model(core.get(), settings.model.c_str(), nullptr, &rawModel),
                "ov_core_read_model");
  const Handle<ov_model_t> model(rawModel, library.ov_model_free);
  reshape(library, model.get(), settings.shapes);

  ov_compiled_model_t* rawCompiled = nullptr;
  library.check(library.ov_core_compile_model(core.get(), model.get(), settings.device.c_str(), 0, &rawCompiled),
                "ov_core_compile_model");
  const Handle<ov_compiled_model_t> compiled(rawCompiled, library.ov_compiled_model_free);
  library.check(library.ov_compiled_model_export_model(compiled.get(), settings.output.c_str()),
                "ov_compiled_model_export_model");
}

}  // namespace onnx_engine::openvino
