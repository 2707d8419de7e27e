// Directory listings as nginx prints them.
//
// Runs in: front.  Input: names in a site's directory (hostile), checked records of its opener.
// Ref: nginx ngx_http_autoindex_module 1.22, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"

namespace bulkhead::front {

struct DirectoryEntry {
  std::string_view name;
  uint64_t size = 0;
  int64_t mtime = 0;
  bool is_dir = false;
};

// Reads ipc::ListEntry records; false when they break their format.
bool read_listing(std::string_view bytes, std::vector<DirectoryEntry>* out);
// Directories first, then by name.
void sort_listing(std::vector<DirectoryEntry>* entries);

struct ListingStyle {
  config::LocConf::AutoindexFormat format = config::LocConf::AutoindexFormat::kHtml;
  bool exact_size = true, local_time = false;
  bool utf8 = false;          // columns count characters, not bytes
  std::string_view callback;  // JSONP
};
void append_listing(std::string& out, const std::vector<DirectoryEntry>& entries,
                    std::string_view uri, const ListingStyle& style);
std::string_view listing_type(config::LocConf::AutoindexFormat format);

}  // namespace bulkhead::front
