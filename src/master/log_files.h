// The log files that front writes: opened by master, as files root may touch, passed as
// descriptors.
//
// Runs in: master.  Input: paths from configuration (trusted) in directories that may be a site's.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "config/model.h"
#include "master/log.h"
#include "master/options.h"
#include "sys/fd.h"

namespace bulkhead::master {

// Opens one target: a path, "stderr", or "syslog:server=...".  Creates a missing file.
[[nodiscard]] Result<sys::Fd> open_log_target(const std::string& target);
// The log until the configuration names another: -e of nginx.  The caller keeps the descriptor as
// long as `log` writes to it.  A log that cannot be opened is said on standard error.
[[nodiscard]] sys::Fd open_first_log(const Options& options, Log* log);
// All of a model, in order of Model::log_files.
[[nodiscard]] Result<std::vector<sys::Fd>> open_log_files(const config::Model& model);
// The same while another configuration is in force (a reload, USR1): a log that it has open already
// and that cannot be opened anew stays open as it is, and `problems` gets a sentence.  Else whoever
// owns the directory of one log could keep all others from being rotated.
[[nodiscard]] Result<std::vector<sys::Fd>> reopen_log_files(const config::Model& model,
                                                            const config::Model& before,
                                                            const std::vector<sys::Fd>& open,
                                                            std::vector<std::string>* problems);

}  // namespace bulkhead::master
