// bulkhead-master: see master/master.h.  Started by `bulkhead`, with arguments it has checked.
//
// Runs in: master.
#include <cstdio>

#include "master/master.h"
#include "master/options.h"
#include "sys/process.h"
#include "sys/signals.h"

int main(int argc, char** argv) {
  using namespace bulkhead;
  auto options = master::from_arguments({argv + 1, static_cast<size_t>(argc - 1)});
  if (!options) {
    std::fprintf(stderr, "%s\n", options.error().text.c_str());
    return 64;
  }
  sys::init_process_title(argc, argv);
  sys::ignore_sigpipe();
  master::Master master(std::move(*options));
  return master.run();
}
