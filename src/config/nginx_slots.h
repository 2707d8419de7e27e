// Setters for directives that hold one value: the member says where the value goes.
//
//   {.name = "etag", .set = set_flag<&LocConf::etag>, ...}
//
// Runs in: master, front.  Input: configuration (trusted).
#pragma once

#include <string>
#include <utility>

#include "config/nginx_builder.h"

namespace bulkhead::config {

// Leaves `value` where it belongs by the class that has the member.
template <class Class, class T, class V>
void store(Builder& b, T Class::*field, V value) {
  if constexpr (std::is_same_v<Class, LocConf>) {
    b.loc().apply.push_back([field, value](LocConf& conf) { conf.*field = T(value); });
  } else if constexpr (std::is_same_v<Class, FastcgiConf>) {
    b.loc().apply.push_back([field, value](LocConf& conf) { conf.fastcgi.*field = T(value); });
  } else if constexpr (std::is_same_v<Class, Server>) {
    b.scope().apply_server.push_back([field, value](Server& server) { server.*field = T(value); });
  } else if constexpr (std::is_same_v<Class, Upstream>) {
    b.scope().upstream->*field = T(value);
  } else {
    static_assert(std::is_same_v<Class, Model>);
    b.model().*field = T(value);
  }
}

// Accepts and forgets a value whose form was checked.
struct Nowhere {
  bool flag;
  Millis millis;
  Seconds seconds;
  uint64_t number;
};
template <class T, class V>
void store(Builder&, T Nowhere::*, V) {}

// "on" or "off" was checked by the row's form.
template <auto Field>
void set_flag(Builder& b, const Directive& d) {
  store(b, Field, to_lower(d.args[0].text) == "on");
}

template <auto Field>
void set_millis(Builder& b, const Directive& d) {
  auto value = parse_millis(d.args[0].text);
  if (!value) return b.fail_value(d, "invalid value");
  store(b, Field, *value);
}

template <auto Field>
void set_seconds(Builder& b, const Directive& d) {
  auto value = parse_seconds(d.args[0].text);
  if (!value) return b.fail_value(d, "invalid value");
  store(b, Field, *value);
}

// "8k"
template <auto Field>
void set_size(Builder& b, const Directive& d) {
  auto value = parse_size(d.args[0].text);
  if (!value) return b.fail_value(d, "invalid value");
  store(b, Field, *value);
}

// "8k", "1g"
template <auto Field>
void set_offset(Builder& b, const Directive& d) {
  auto value = parse_size(d.args[0].text, true);
  if (!value) return b.fail_value(d, "invalid value");
  store(b, Field, *value);
}

template <auto Field>
void set_number(Builder& b, const Directive& d) {
  auto value = parse_number(d.args[0].text);
  if (!value) return b.fail_value(d, "invalid number");
  store(b, Field, *value);
}

// "8 4k": both must be positive.
template <auto Count, auto Size>
void set_buffers(Builder& b, const Directive& d) {
  auto count = parse_number(d.args[0].text);
  auto size = parse_size(d.args[1].text);
  if (!count || *count == 0 || !size || *size == 0) return b.fail_value(d, "invalid value");
  store(b, Count, *count);
  store(b, Size, *size);
}

template <auto Field>
void set_text(Builder& b, const Directive& d) {
  store(b, Field, d.args[0].text);
}

template <auto Field>
void set_path(Builder& b, const Directive& d) {
  store(b, Field, b.full_path(d.args[0].text));
}

template <class E>
struct Choice {
  std::string_view word;
  E value;
};

// One of a few words; `choices` is a constexpr array.
template <auto Field, const auto& choices>
void set_choice(Builder& b, const Directive& d) {
  for (const auto& choice : choices) {
    if (to_lower(d.args[0].text) == choice.word) return store(b, Field, choice.value);
  }
  b.fail(d, "invalid value \"" + d.args[0].text + "\"");
}

// The forms of values that have no effect here but must still be right.
constexpr Setter check_millis = set_millis<&Nowhere::millis>;
constexpr Setter check_seconds = set_seconds<&Nowhere::seconds>;
constexpr Setter check_size = set_size<&Nowhere::number>;
constexpr Setter check_offset = set_offset<&Nowhere::number>;
constexpr Setter check_number = set_number<&Nowhere::number>;
constexpr Setter check_buffers = set_buffers<&Nowhere::number, &Nowhere::number>;

}  // namespace bulkhead::config
