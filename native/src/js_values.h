#pragma once

#include "napi_setup.h"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

// Converts values between JavaScript and C++. ../addon.ts declares their types. Nothing is checked here: our own
// TypeScript has checked all values before.
namespace onnx_engine::js {

inline std::string toText(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

inline std::string toText(const Napi::Object& object, const char* key) { return toText(object.Get(key)); }

// Nothing for null.
template <typename Number>
std::optional<Number> toNumber(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsNumber()) return std::nullopt;
  return static_cast<Number>(value.As<Napi::Number>().Int64Value());
}

template <typename Item, typename Convert>
std::vector<Item> toList(const Napi::Value& value, Convert convert) {
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  std::vector<Item> list;
  list.reserve(length);
  for (uint32_t i = 0; i < length; i++) list.push_back(convert(array.Get(i)));
  return list;
}

inline std::vector<std::string> toTexts(const Napi::Value& value) {
  return toList<std::string>(value, [](const Napi::Value& item) { return toText(item); });
}

// Dims, or values of a shape tensor.
inline std::vector<int64_t> toDims(const Napi::Value& value) {
  return toList<int64_t>(value, [](const Napi::Value& item) { return item.As<Napi::Number>().Int64Value(); });
}

template <typename Item, typename Convert>
Napi::Array fromList(Napi::Env env, const std::vector<Item>& list, Convert convert) {
  const auto array = Napi::Array::New(env, list.size());
  for (uint32_t i = 0; i < list.size(); i++) array.Set(i, convert(list[i]));
  return array;
}

inline Napi::Array fromDims(Napi::Env env, const std::vector<int64_t>& dims) {
  return fromList(env, dims, [env](int64_t dim) { return Napi::Number::New(env, static_cast<double>(dim)); });
}

// A copy: Electron forbids buffers that point to native memory.
inline Napi::ArrayBuffer fromBytes(Napi::Env env, const void* data, size_t bytes) {
  auto buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes > 0) std::memcpy(buffer.Data(), data, bytes);
  return buffer;
}

inline Napi::Object fromOutput(Napi::Env env, const Napi::ArrayBuffer& buffer, const std::vector<int64_t>& dims) {
  auto output = Napi::Object::New(env);
  output.Set("buffer", buffer);
  output.Set("dims", fromDims(env, dims));
  return output;
}

}  // namespace onnx_engine::js
