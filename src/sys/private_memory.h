// Makes a forked process's inherited shared memory its own: same addresses, same contents, but no
// longer shared with the parent or with siblings.
//
// Runs in: zygote (pins), a freshly forked pool (copies).  Input: /proc/self.
// This is what gives every site its own opcache for the price of a fork: pointers inside the
// memory stay valid because the copy replaces the original in place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sys {

// Keeps touched pages of shared anonymous mappings in memory, so that a fork can tell by mincore()
// which pages to copy.  Without the right to lock memory copies are whole instead (slower, larger)
// on machines that swap.
void pin_shared_memory();

// Replaces every shared mapping that could be written and has no file by a private copy (private
// to this process and what it forks later).
// Errors: a writable shared mapping of a file exists, or one that could not be replaced remains;
// the process must not serve a site then.
Status make_shared_memory_private();

// Replaces descriptors whose name contains one of `names` (an extension's lock files) by fresh
// unlinked files under the same numbers, and returns those.
Result<std::vector<FdRef>> replace_lock_files(const std::vector<std::string_view>& names);

// Descriptors from `first` on that are open now.
[[nodiscard]] std::vector<FdRef> open_descriptors(int first);
// Refuses descriptors, other than `ours`, through which processes could reach each other: what
// opened for writing or is a socket, pipe or the like.  Lock files were replaced before.
Status check_descriptors(const std::vector<FdRef>& ours);

// Memory that this process and what it forks share, zeroed; null when there is none.
[[nodiscard]] void* allocate_shared(size_t bytes);

}  // namespace bulkhead::sys
