#include "runner.h"

#include "../builder.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#if defined(SANITIZED) && defined(__linux__)
#include <dlfcn.h>

// OpenVINO's copy of TBB opens a library with RTLD_DEEPBIND, and sanitizers then end the process. Both work without
// that flag.
extern "C" __attribute__((visibility("default"))) void* dlopen(const char* file, int mode) noexcept {
  static const auto next = reinterpret_cast<void* (*)(const char*, int)>(dlsym(RTLD_NEXT, "dlopen"));
  return next(file, mode & ~RTLD_DEEPBIND);
}
#endif

namespace onnx_engine::openvino {

namespace {

std::string scratch(const std::string& name) {
  return testing::TempDir() + "unplugin-onnx-" + std::to_string(std::rand()) + "-" + name;
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string productsModel(int products) {
  const std::string square = "<dim>-1</dim><dim>-1</dim>";
  const auto port = [&](int id, const char* names = "") {
    return "<port id=\"" + std::to_string(id) + "\" precision=\"FP32\" names=\"" + names + "\">" + square + "</port>";
  };
  std::string layers =
      R"(<layer id="0" name="x" type="Parameter" version="opset1"><data shape="?,?" element_type="f32"/><output>)" +
      port(0, "x") + "</output></layer>";
  std::string edges;
  const auto edge = [&](int from, int fromPort, int to, int toPort) {
    edges += "<edge from-layer=\"" + std::to_string(from) + "\" from-port=\"" + std::to_string(fromPort) +
             "\" to-layer=\"" + std::to_string(to) + "\" to-port=\"" + std::to_string(toPort) + "\"/>";
  };
  for (int i = 1; i <= products; i++) {
    layers += "<layer id=\"" + std::to_string(i) + "\" name=\"product" + std::to_string(i) +
              R"(" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="false"/><input>)" + port(0) +
              port(1) + "</input><output>" + port(2) + "</output></layer>";
    edge(i - 1, i == 1 ? 0 : 2, i, 0);
    edge(0, 0, i, 1);
  }
  const int relu = products + 1;
  layers += "<layer id=\"" + std::to_string(relu) + R"(" name="relu" type="ReLU" version="opset1"><input>)" + port(0) +
            "</input><output>" + port(1, "y") + "</output></layer>";
  layers += "<layer id=\"" + std::to_string(relu + 1) + R"(" name="y" type="Result" version="opset1"><input>)" +
            port(0) + "</input></layer>";
  edge(relu - 1, products == 0 ? 0 : 2, relu, 0);
  edge(relu, 1, relu + 1, 0);
  return R"(<?xml version="1.0"?><net name="products" version="11"><layers>)" + layers + "</layers><edges>" + edges +
         "</edges></net>";
}

}  // namespace

const Library& library() {
  const char* path = std::getenv("OPENVINO_LIBRARY");
  if (path == nullptr) throw std::runtime_error("OPENVINO_LIBRARY is not set");
  return Library::open(path);
}

std::string blobOf(int products, const std::string& hint) {
  const std::string model = scratch("model.xml");
  const std::string blob = scratch("engine.blob");
  std::ofstream(model) << productsModel(products);
  build(library(), {model, blob, "CPU", {{"PERFORMANCE_HINT", hint}, {"INFERENCE_PRECISION_HINT", "f32"}}, {}});
  std::string bytes = read(blob);
  std::remove(model.c_str());
  std::remove(blob.c_str());
  return bytes;
}

Runner::Runner(const std::string& blob, const std::string& hint)
    : engine_(library(), blob.data(), blob.size(),
              {"CPU", {{"PERFORMANCE_HINT", hint}, {"INFERENCE_PRECISION_HINT", "f32"}}, {"x"}, {"y"}}) {
  done_.resize(engine_.requests(), false);
  engine_.onDone([this](size_t request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_[request] = true;
    changed_.notify_all();
  });
}

void Runner::start(size_t request, std::vector<float>& values, int64_t size, bool borrow) {
  engine_.start(request, {{values.data(), values.size() * sizeof(float), {size, size}}}, borrow);
}

std::vector<float> Runner::finish(size_t request) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return done_[request]; });
    done_[request] = false;
  }
  const auto outputs = engine_.finish(request);
  const auto* values = static_cast<const float*>(outputs.at(0).data);
  return {values, values + outputs[0].bytes / sizeof(float)};
}

std::vector<float> diagonal(int64_t size, float value) {
  std::vector<float> values(static_cast<size_t>(size * size), 0);
  for (int64_t i = 0; i < size; i++) values[static_cast<size_t>(i * size + i)] = value;
  return values;
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace onnx_engine::openvino
