// Which site a person means: a pool's name, or a server_name that leads to it.
//
// Runs in: master.  Input: a name somebody typed (hostile: bounded by the caller); configuration.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "master/load.h"

namespace bulkhead::master {

// Sites that the asker may know about.
using MayKnow = std::function<bool(const config::Site&)>;

// Errors: nobody has that name (near names are listed), or servers of several sites have it.
// A site that `may_know` refuses is treated as not there.
[[nodiscard]] Result<const config::Site*> find_site_named(const Loaded& loaded,
                                                          std::string_view name,
                                                          const MayKnow& may_know);

// Edits (insert, remove, replace, swap neighbours) that turn one word into the other.
[[nodiscard]] size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace bulkhead::master
