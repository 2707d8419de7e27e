// Names of sites, and the Linux user made from one.
//
// Runs in: bulkhead-site.  Input: the administrator's words.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::sites {

constexpr size_t kUserNameMax = 32;   // useradd(8), shadow 4.13; utmp(5) on Linux
constexpr size_t kSiteNameMax = 100;  // leaves room for suffixes within a file name and a path

// A host name in lower case (RFC 1123 2.1; '_' too): labels of letters, digits and inner hyphens.
// A site's name is one too, and becomes names of files.  Errors: what is wrong with it.
[[nodiscard]] Result<std::string> checked_site_name(std::string_view text);
// The same; "*.example.com" is allowed.
[[nodiscard]] Result<std::string> checked_host_name(std::string_view text);

// "blog.example.com" -> "blog-example-com": letters, digits and hyphens, a letter first, at most
// kUserNameMax bytes (a longer name is cut and gets eight digits of its hash).  `is_taken` says
// whether a name cannot be had; then "-2", "-3" ... is tried.
[[nodiscard]] std::string derive_user(std::string_view site,
                                      const std::function<bool(const std::string&)>& is_taken);
// Whether useradd would take it.  Errors: why not.
Status check_user_name(std::string_view name);

}  // namespace bulkhead::sites
