// The reference parts of bulkhead.conf(5) and bulkhead-pool(5), made from the tables of directives.
//
// Runs in: the build (src/cmd/manual_main.cc).  Input: none; constant data.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::config {

// man(7) source: one paragraph per directive of the nginx language.
[[nodiscard]] std::string nginx_manual();
// The same of a pool's section, or of [global].
[[nodiscard]] std::string pool_manual();
[[nodiscard]] std::string global_manual();

// The page: `text` with a line "@NGINX@", "@POOL@" or "@GLOBAL@" replaced by that part.
[[nodiscard]] std::string fill_manual(std::string_view text);

}  // namespace bulkhead::config
