// One request's CGI variables as a small hash table that keeps the order php-fpm shows.
//
// Runs in: worker.  Input: names and values are hostile; both end in NUL.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "php/request_source.h"

namespace bulkhead::php {

// Reused between requests.  Nothing here is called across a longjmp.
class ParamTable {
 public:
  // Takes a request's parameters; they are borrowed, not copied.
  void load(std::span<const Param> params, const char* role);
  // The value; null when there is none.
  [[nodiscard]] const char* find(std::string_view name) const;
  // Sets (copying) and returns the copy; a null value removes the variable and returns null.
  const char* put(std::string_view name, const char* value);
  // Latest first, as php-fpm lists them.  `visit(const Param&)`.
  template <class Visit>
  void each(Visit visit) const {
    for (size_t i = entries_.size(); i-- > 0;) {
      if (entries_[i].param.value != nullptr) visit(entries_[i].param);
    }
  }

 private:
  static constexpr uint32_t kBuckets = 128;
  static constexpr uint32_t kEnd = 0;
  struct Entry {
    Param param;
    uint32_t next;  // index + 1 in the same bucket
  };
  static uint32_t bucket_of(std::string_view name);
  [[nodiscard]] Entry* lookup(std::string_view name);
  void set(const Param& param);

  std::vector<Entry> entries_;
  std::array<uint32_t, kBuckets> first_{};
  std::deque<std::string> owned_;  // copies made by put(); their addresses stay
};

}  // namespace bulkhead::php
