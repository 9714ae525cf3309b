#include "tensor.h"

#include "../format.h"

#include <cstring>
#include <limits>
#include <stdexcept>

namespace onnx_engine::tensorrt {

namespace {

std::string text(const std::vector<int64_t>& numbers) {
  std::string all;
  for (const int64_t number : numbers) all += (all.empty() ? "" : ",") + std::to_string(number);
  return "[" + all + "]";
}

bool isWithin(const std::vector<int64_t>& numbers, const std::vector<int64_t>& min, const std::vector<int64_t>& max) {
  if (numbers.size() != min.size() || numbers.size() != max.size()) return false;
  for (size_t i = 0; i < numbers.size(); i++) {
    if (numbers[i] < min[i] || numbers[i] > max[i]) return false;
  }
  return true;
}

bool fits(const Bounds& bounds, const std::vector<const Port*>& ports, const std::vector<Tensor>& inputs) {
  if (bounds.min.size() != inputs.size() || ports.size() != inputs.size()) return false;
  for (size_t i = 0; i < inputs.size(); i++) {
    if (!isWithin(inputs[i].dims, bounds.min[i], bounds.max[i])) return false;
    if (bounds.minValues[i].empty()) continue;
    if (!isWithin(valuesOf(*ports[i], inputs[i]), bounds.minValues[i], bounds.maxValues[i])) return false;
  }
  return true;
}

}  // namespace

size_t byteSize(const Port& port, const std::vector<int64_t>& dims) {
  size_t size = port.bytes;
  for (const int64_t dim : dims) {
    if (dim < 0) throw std::runtime_error(format("'{}' has a negative dim", port.name));
    const auto count = static_cast<size_t>(dim);
    if (count != 0 && size > std::numeric_limits<size_t>::max() / count)
      throw std::runtime_error(format("'{}' is too large", port.name));
    size *= count;
  }
  return size;
}

size_t profileFor(const Plan& plan, const std::vector<Tensor>& inputs) {
  std::vector<const Port*> ports;
  for (const auto& port : plan.ports()) {
    if (port.input) ports.push_back(&port);
  }
  for (size_t number = 0; number < plan.profiles().size(); number++) {
    if (fits(plan.profiles()[number], ports, inputs)) return number;
  }
  std::string received;
  for (size_t i = 0; i < inputs.size(); i++) {
    received += " " + text(inputs[i].dims);
    if (i < ports.size() && ports[i]->onHost) received += " with values " + text(valuesOf(*ports[i], inputs[i]));
  }
  throw std::runtime_error(format("the inputs{} fit no optimization profile of the engine", received));
}

std::vector<int64_t> valuesOf(const Port& port, const Tensor& tensor) {
  std::vector<int64_t> values(port.bytes == 0 ? 0 : tensor.bytes / port.bytes);
  for (size_t i = 0; i < values.size(); i++) {
    const auto* at = static_cast<const uint8_t*>(tensor.data) + i * port.bytes;
    if (port.bytes == sizeof(int64_t)) {
      std::memcpy(&values[i], at, sizeof(int64_t));
    } else if (port.bytes == sizeof(int32_t)) {
      int32_t value = 0;
      std::memcpy(&value, at, sizeof(value));
      values[i] = value;
    }
  }
  return values;
}

}  // namespace onnx_engine::tensorrt
