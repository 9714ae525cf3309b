// The reference of `npm run bench`: runs one engine in a plain loop on OpenVINO's own C API, as a C program would.
// Prints the median in milliseconds.
// Usage: openvino_plain_loop <library> <blob> <hint> <input> <output> <iterations> <dim>...
#include "../library.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

using namespace onnx_engine::openvino;

int main(int argc, char** argv) {
  if (argc < 8) return 2;
  const Library& library = Library::open(argv[1]);
  std::ifstream file(argv[2], std::ios::binary);
  const std::string blob(std::istreambuf_iterator<char>(file), {});
  const auto core = library.createCore("CPU", {{"PERFORMANCE_HINT", argv[3]}, {"INFERENCE_PRECISION_HINT", "f32"}});
  ov_compiled_model_t* model = nullptr;
  library.check(library.ov_core_import_model(core.get(), blob.data(), blob.size(), "CPU", &model),
                "ov_core_import_model");
  ov_infer_request_t* request = nullptr;
  library.check(library.ov_compiled_model_create_infer_request(model, &request),
                "ov_compiled_model_create_infer_request");
  ov_output_const_port_t* inputPort = nullptr;
  ov_output_const_port_t* outputPort = nullptr;
  library.check(library.ov_compiled_model_input_by_name(model, argv[4], &inputPort), "ov_compiled_model_input_by_name");
  library.check(library.ov_compiled_model_output_by_name(model, argv[5], &outputPort),
                "ov_compiled_model_output_by_name");

  std::vector<int64_t> dims;
  for (int i = 7; i < argc; i++) dims.push_back(std::atoll(argv[i]));
  size_t count = 1;
  for (const int64_t dim : dims) count *= static_cast<size_t>(dim);
  const std::vector<float> values(count, 0.5F);
  std::vector<char> result;

  std::vector<double> times(static_cast<size_t>(std::atoi(argv[6])));
  for (auto& time : times) {
    const auto start = std::chrono::steady_clock::now();
    ov_tensor_t* input = nullptr;
    library.check(library.ov_infer_request_get_tensor_by_const_port(request, inputPort, &input), "input");
    library.check(library.ov_tensor_set_shape(input, {static_cast<int64_t>(dims.size()), dims.data()}),
                  "ov_tensor_set_shape");
    void* data = nullptr;
    library.check(library.ov_tensor_data(input, &data), "ov_tensor_data");
    std::memcpy(data, values.data(), count * sizeof(float));
    library.check(library.ov_infer_request_start_async(request), "ov_infer_request_start_async");
    library.check(library.ov_infer_request_wait(request), "ov_infer_request_wait");
    ov_tensor_t* output = nullptr;
    library.check(library.ov_infer_request_get_tensor_by_const_port(request, outputPort, &output), "output");
    size_t bytes = 0;
    library.check(library.ov_tensor_get_byte_size(output, &bytes), "ov_tensor_get_byte_size");
    library.check(library.ov_tensor_data(output, &data), "ov_tensor_data");
    result.assign(static_cast<char*>(data), static_cast<char*>(data) + bytes);
    library.ov_tensor_free(output);
    library.ov_tensor_free(input);
    time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(times.begin(), times.end());
  std::printf("%.4f\n", times[times.size() / 2]);
  // The process ends here, and its handles with it.
  return 0;
}
