// The process that has PHP started and forks it into pools.
//
// Runs in: zygote (root, one thread).  Input: fork orders from master, nothing else; it runs no
// script and opens no file of a site.
#pragma once

#include <string>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::pool {

// Serves fork orders from `master` until it closes; the exit code.  libphp has been started.
// `state`: the state directory, to build what sites see beside it; "": sites get no view.
int run_zygote(sys::Fd master, const std::string& state);

}  // namespace bulkhead::pool
