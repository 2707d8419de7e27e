// Values as bytes between master and its children: one list of fields serves both directions.
//
// Runs in: master (writes), front, zygote and pool (read).  Input: bytes from master only; still
// checked, so that a damaged form is an error and not a crash.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bulkhead::config {

class ByteWriter {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof bytes);
    out_.append(bytes, sizeof bytes);
  }
  void operator()(std::string& value) {
    count(value.size());
    out_ += value;
  }
  template <class A, class B>
  void operator()(std::pair<A, B>& value) {
    (*this)(value.first);
    (*this)(value.second);
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    count(list.size());
    for (T& item : list) (*this)(item);
  }
  template <class T>
  void operator()(std::map<std::string, T>& map) {
    count(map.size());
    for (auto& [key, value] : map) {
      std::string name = key;
      (*this)(name);
      (*this)(value);
    }
  }
  template <class T>
  requires requires(T& value, ByteWriter& form) { fields(value, form); }
  void operator()(T& value) { fields(value, *this); }
  std::string take() { return std::move(out_); }

 private:
  void count(size_t size) {
    auto number = static_cast<uint32_t>(size);
    (*this)(number);
  }
  std::string out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      uint8_t byte = 0;
      (*this)(byte);
      value = byte != 0;
    } else {
      if (left_.size() < sizeof(T)) return broken();
      std::memcpy(&value, left_.data(), sizeof(T));
      left_.remove_prefix(sizeof(T));
    }
  }
  void operator()(std::string& value) {
    uint32_t size = count();
    value = left_.substr(0, size);
    left_.remove_prefix(size);
  }
  template <class A, class B>
  void operator()(std::pair<A, B>& value) {
    (*this)(value.first);
    (*this)(value.second);
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    uint32_t size = count();
    list.clear();
    for (uint32_t i = 0; i < size && ok_; i++) (*this)(list.emplace_back());
  }
  template <class T>
  void operator()(std::map<std::string, T>& map) {
    uint32_t size = count();
    map.clear();
    for (uint32_t i = 0; i < size && ok_; i++) {
      std::string name;
      (*this)(name);
      (*this)(map[name]);
    }
  }
  template <class T>
  requires requires(T& value, ByteReader& form) { fields(value, form); }
  void operator()(T& value) { fields(value, *this); }
  // Everything was read and nothing is left over.
  [[nodiscard]] bool finished() const { return ok_ && left_.empty(); }

 private:
  // A count of things of one byte or more each, so it never exceeds what is left.
  uint32_t count() {
    uint32_t value = 0;
    (*this)(value);
    if (value <= left_.size()) return value;
    broken();
    return 0;
  }
  void broken() {
    ok_ = false;
    left_ = {};
  }
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace bulkhead::config
