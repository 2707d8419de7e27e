// What every site's view has in common, built once per zygote: a copy of the harmless part of /etc,
// a minimal /dev, and the place where views are assembled.  It lives in a tmpfs that only the
// zygote's own mount namespace knows, so it ends with the zygote and leaves nothing behind.
//
// Runs in: zygote (root), before any site is forked.  Input: /etc as the administrator keeps it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {

// Paths, not descriptors: a descriptor of one mount namespace cannot be used in another, and every
// view is built in a namespace of its own.  They lie in a directory that only root may enter.
struct BaseTree {
  std::string etc, dev;  // two mounts, to be cloned into a view
  // The program that is sendmail in every view, or "".  `sbin`: the machine's /usr/sbin with that
  // name laid over it; "" where the machine has a program of that name, over which ours goes.
  std::string sendmail, sbin;
  std::string place;  // an empty directory to attach a view's root to

  // Enters a mount namespace of its own (what the machine mounts later still arrives in it), mounts
  // a tmpfs over STATE/base and fills it.  `sendmail`: path of bulkhead-sendmail, or "".
  // Errors: names the step; the caller may go on without views.
  static Result<BaseTree> create(const std::string& state_root, const std::string& sendmail);
};

// Entries of /etc that a site may see, relative to it; a directory comes with all beneath it.
// Whatever is not readable by everybody stays out.
// Copies them from `from` to `to` (both O_PATH directories).  Blocks: reads some hundred files.
Status copy_etc(sys::FdRef from, sys::FdRef to);

// The files of /etc that change while a server runs (name servers, hosts, time zone, certificates):
// copied anew into every view, also those of running sites, when they are no longer what they were.
class EtcRefresh {
 public:
  // What is there now counts as copied.
  explicit EtcRefresh(std::string from = "/etc");
  // `to`: path of the copy.  Asked before each site starts: costs a stat(2) per file.
  // Returns how many were renewed.
  int renew(const std::string& to);

 private:
  std::string from_;
  std::vector<std::string> seen_;  // what each looked like
};

}  // namespace bulkhead::sandbox
