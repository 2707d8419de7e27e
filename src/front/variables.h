// Values of variables and of texts that hold them, for one request.
//
// Runs in: front.  Input: request values (hostile), templates (trusted).
// Threads: the request's loop.  A returned view lives until the Exchange is reset; nothing is
// copied when a view of existing bytes does.
// Ref: nginx 1.22 "Embedded variables"; every name of config/template.h.
#pragma once

#include <string>
#include <string_view>

#include "config/template.h"
#include "front/exchange.h"

namespace bulkhead::front {

// One reference.  Value::found is false where nginx logs "-".
Value value_of(Exchange& ex, const config::VarRef& ref);
Value builtin_value(Exchange& ex, config::Var var);
// All of a template, in the arena or in place.
std::string_view evaluate(Exchange& ex, const config::Template& text);

// First request header of that name; '_' and '-' are the same, as $http_NAME spells it.
Value request_header(const Exchange& ex, std::string_view underscored);
// The value of an argument by name, case-insensitive: $arg_NAME.
Value argument(std::string_view args, std::string_view name);
// NAME of a "a=b; c=d" header: $cookie_NAME.
Value cookie(std::string_view header, std::string_view name);

// The directory files are served from ($document_root), and the path of ex.uri in it
// ($request_filename).  path_of_uri() leaves `spare` bytes free after the path in the arena.
std::string_view document_root(Exchange& ex);
struct MappedPath {
  std::string_view path;
  size_t root_size = 0;  // bytes of path that are the root
};
MappedPath path_of_uri(Exchange& ex, size_t spare = 0);
// $realpath_root is known for the directory it would be asked for now.
bool realpath_is_known(Exchange& ex);

// Applies fastcgi_split_path_info to ex.uri, once.
void split_path_info(Exchange& ex);
// $fastcgi_script_name: with fastcgi_index where the name ends in '/'.
std::string_view fastcgi_script_name(Exchange& ex);

// Remembers the groups of a match; named ones become user variables.
void remember_match(Exchange& ex, std::string_view subject, const config::Captures& groups,
                    const std::vector<std::pair<uint32_t, uint32_t>>& named);

// Numbers as text in the arena.
std::string_view number_text(Exchange& ex, uint64_t value);
std::string_view seconds_text(Exchange& ex, int64_t milliseconds);  // "1.024"

}  // namespace bulkhead::front
