// Files of share/ inside the program: templates, and a first configuration.
//
// Runs in: bulkhead-site.  Made by cmake/sites.cmake.
#pragma once

#include <span>
#include <string_view>

namespace bulkhead::sites {

struct EmbeddedFile {
  std::string_view name;  // below ETC: "templates/php.conf", "bulkhead.conf"
  std::string_view text;
};
[[nodiscard]] std::span<const EmbeddedFile> embedded_files();

}  // namespace bulkhead::sites
