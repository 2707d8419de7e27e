// `bulkhead verify`: the whole run, and that nothing of it is left afterwards.
//
// Runs in: bulkhead-verify (root).
#pragma once

#include <string>
#include <vector>

#include "verify/pair.h"
#include "verify/setup.h"

namespace bulkhead::verify {

struct Request {
  Places places;
  std::vector<std::string> sites;
  bool make_new = false, compare = false, json = false, list = false;
  std::string html;
  std::vector<std::string> layers_off, pool_lines;
  Wanted wanted;
};

// Exit status: 0 nothing was allowed, 1 something was, 2 it could not be run, 64 usage,
// 128 + signal when interrupted.
int run(const Request& request);

}  // namespace bulkhead::verify
