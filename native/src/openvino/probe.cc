#include "probe.h"

namespace onnx_engine::openvino {

namespace {

// The smallest possible model. Compiling it is the only way to ask a device for the requirements of its blobs.
constexpr char smallest[] = R"(<?xml version="1.0"?>
<net name="smallest" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="1" element_type="f32"/>
      <output><port id="0" precision="FP32" names="x"><dim>1</dim></port></output>
    </layer>
    <layer id="1" name="relu" type="ReLU" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim></port></input>
      <output><port id="1" precision="FP32" names="y"><dim>1</dim></port></output>
    </layer>
    <layer id="2" name="y" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>)";

// A device that cannot even compile this has no requirements: a real compilation will report why.
std::string runtimeRequirements(const Library& library, const ov_core_t* core, const char* device) {
  ov_model_t* rawModel = nullptr;
  if (library.ov_core_read_model_from_memory_buffer(core, smallest, sizeof(smallest) - 1, nullptr, &rawModel) != OK)
    return "";
  const Handle<ov_model_t> model(rawModel, library.ov_model_free);
  ov_compiled_model_t* rawCompiled = nullptr;
  if (library.ov_core_compile_model(core, model.get(), device, 0, &rawCompiled) != OK) return "";
  const Handle<ov_compiled_model_t> compiled(rawCompiled, library.ov_compiled_model_free);
  return library.property(compiled.get(), "RUNTIME_REQUIREMENTS");
}

}  // namespace

std::vector<Device> probe(const Library& library) {
  const auto core = library.createCore("", {});
  ov_available_devices_t names{};
  library.check(library.ov_core_get_available_devices(core.get(), &names), "ov_core_get_available_devices");
  std::vector<Device> devices;
  for (size_t i = 0; i < names.size; i++) {
    const char* name = names.devices[i];
    devices.push_back({
        name,
        library.property(core.get(), name, "FULL_DEVICE_NAME"),
        library.property(core.get(), name, "OPTIMIZATION_CAPABILITIES"),
        runtimeRequirements(library, core.get(), name),
    });
  }
  library.ov_available_devices_free(&names);
  return devices;
}

}  // namespace onnx_engine::openvino
