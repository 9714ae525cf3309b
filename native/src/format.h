#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace onnx_engine {

namespace detail {

template <typename Value>
std::string formatted(const Value& value) {
  if constexpr (std::is_arithmetic_v<Value>) {
    return std::to_string(value);
  } else {
    return std::string(value);
  }
}

inline std::string formatTexts(std::string_view pattern, std::initializer_list<std::string> values) {
  std::string text;
  for (const auto& value : values) {
    const size_t hole = pattern.find("{}");
    if (hole == std::string_view::npos) throw std::out_of_range("format: more values than {}");
    text.append(pattern.substr(0, hole)).append(value);
    pattern.remove_prefix(hole + 2);
  }
  return text.append(pattern);
}

}  // namespace detail

// The pattern with each {} replaced by the next value: format("input '{}' has {} values", name, 3). Throws
// std::out_of_range for more values than {}.
template <typename... Values>
std::string format(std::string_view pattern, const Values&... values) {
  return detail::formatTexts(pattern, {detail::formatted(values)...});
}

}  // namespace onnx_engine
