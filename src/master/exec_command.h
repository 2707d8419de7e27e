// `bulkhead exec [OPTIONS] SITE [--] COMMAND [ARGUMENTS]`: the command line and its exit codes.
//
// Runs in: bulkhead.  Input: the command line of an administrator or of a site's own user.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "exec/client.h"
#include "master/options.h"

namespace bulkhead::master {

// One option of the line: what --help says of it, and what shell completion offers.
struct ExecLine;
struct ExecOption {
  std::string_view name, letter;  // "--env", "-e"; letter "" : none
  std::string_view value;         // FILE, DIR, ...; "" : takes none
  std::string_view help;
  Status (*take)(ExecLine* line, std::string value);
};
[[nodiscard]] std::span<const ExecOption> exec_options();

struct ExecLine {
  exec::ExecRequest request;
  Options server;       // where its configuration is; else `request.socket`
  std::string program;  // number of a descriptor, "" : none
  bool help = false;
};
// `words`: what follows "exec".  Errors: what is wrong with the line.
[[nodiscard]] Result<ExecLine> parse_exec(std::span<char* const> words);
[[nodiscard]] std::string exec_usage();

// The command's exit code; 128 + n after signal n; 127 not found, 126 cannot be run; 125 when
// Bulkhead itself could not do it (as env(1), timeout(1) and docker-run(1) do).
int run_exec(std::span<char* const> words);

}  // namespace bulkhead::master
