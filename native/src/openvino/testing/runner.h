#pragma once

#include "../engine.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

// What the tests of the engine share: the real library, and engines on it without Node.
namespace onnx_engine::openvino {

// The library at the path in OPENVINO_LIBRARY. Throws std::runtime_error without that variable.
const Library& library();

// A blob of y = relu(x * x * ... * x), a chain of `products` products of square matrices of any size. It has no
// weights, and takes as long as a test wants. `hint` is OpenVINO's PERFORMANCE_HINT.
std::string blobOf(int products, const std::string& hint);

// Uses an engine as the Node addon does: starts free requests, waits for `done`, finishes on the same thread.
class Runner {
 public:
  explicit Runner(const std::string& blob, const std::string& hint = "LATENCY");

  Engine& engine() { return engine_; }

  // Starts a request on a square matrix of size x size.
  void start(size_t request, std::vector<float>& values, int64_t size, bool borrow);

  // Waits for a request and returns the matrix.
  std::vector<float> finish(size_t request);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> done_;
  Engine engine_;
};

// A square matrix with `value` on its diagonal.
std::vector<float> diagonal(int64_t size, float value);

// The text of the exception that the action throws; "" when it throws none.
std::string failure(const std::function<void()>& action);

}  // namespace onnx_engine::openvino
