// bulkhead-probe: the attacker and the victim of `bulkhead verify`; see probe/probe.h.
//
// Runs in: a site's sandbox, as the site's user.  Links nothing of ours but src/probe.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "probe/probe.h"

int main(int argc, char** argv) {
  using namespace bulkhead::probe;
  std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "attack") return attacker();
  if (role == "victim") {
    // A mark in the environment, whatever environment we were started with: once more, with it.
    if (argc > 3 && ::getenv("BHV_EVIDENCE") == nullptr) {
      ::setenv("BHV_EVIDENCE", argv[3], 1);
      char* const again[] = {argv[0], argv[1], argv[2], nullptr};
      ::execv("/proc/self/exe", again);
    }
    return victim();
  }
  // What a setuid copy of this program is asked for: does it read what only root may?
  if (role == "read" && argc == 3) {
    Finding text = read_path(argv[2]);
    write_out(text.got);
    return text.done ? 0 : text.error;
  }
  std::fputs("bulkhead-probe is started by `bulkhead verify`\n", stderr);
  return 64;
}
