// See param_table.h.
#include "php/param_table.h"

namespace bulkhead::php {

uint32_t ParamTable::bucket_of(std::string_view name) {
  if (name.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(name[i])); };
  return (static_cast<uint32_t>(name.size()) * 7 + at(name.size() - 1) * 31 +
          at(name.size() / 2) * 5 + at(0)) %
         kBuckets;
}

ParamTable::Entry* ParamTable::lookup(std::string_view name) {
  for (uint32_t i = first_[bucket_of(name)]; i != kEnd; i = entries_[i - 1].next) {
    const Param& p = entries_[i - 1].param;
    if (std::string_view(p.name, p.name_size) == name) return &entries_[i - 1];
  }
  return nullptr;
}

void ParamTable::set(const Param& param) {
  const std::string_view name(param.name, param.name_size);
  if (Entry* known = lookup(name); known != nullptr) {
    known->param.value = param.value;
    known->param.value_size = param.value_size;
    return;
  }
  uint32_t& first = first_[bucket_of(name)];
  entries_.push_back({param, first});
  first = static_cast<uint32_t>(entries_.size());
}

void ParamTable::load(std::span<const Param> params, const char* role) {
  entries_.clear();
  owned_.clear();
  first_.fill(kEnd);
  set({"FCGI_ROLE", 9, role, static_cast<uint32_t>(std::string_view(role).size())});
  for (const Param& p : params) set(p);
}

const char* ParamTable::find(std::string_view name) const {
  const Entry* entry = const_cast<ParamTable*>(this)->lookup(name);
  return entry == nullptr ? nullptr : entry->param.value;
}

const char* ParamTable::put(std::string_view name, const char* value) {
  if (value == nullptr) {
    if (Entry* entry = lookup(name); entry != nullptr) entry->param.value = nullptr;
    return nullptr;
  }
  const std::string& kept_value = owned_.emplace_back(value);
  const std::string& kept_name = owned_.emplace_back(name);
  set({kept_name.c_str(), static_cast<uint32_t>(kept_name.size()), kept_value.c_str(),
       static_cast<uint32_t>(kept_value.size())});
  return kept_value.c_str();
}

}  // namespace bulkhead::php
