// The verbs of the command line that talk to a running server: signals by pid file, status.
//
// Runs in: bulkhead.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "master/options.h"

namespace bulkhead::master {

// The pid file that a server with these options writes.
[[nodiscard]] Result<std::string> find_pid_path(const Options& options);

// `nginx -s stop|quit|reopen|reload`: nginx's texts and exit codes.
int signal_nginx(const Options& options, const std::string& signal);

// `bulkhead stop|quit|reload|reopen`: finds the server by `pid_path` (or by the configuration).
int signal_bulkhead(const Options& options, const std::string& verb);

// `bulkhead status`: a table for people, or the JSON itself.
enum class Form : uint8_t { kTable, kJson, kMetrics };
int show_status(const Options& options, Form form);

// Becomes bulkhead-master (same pid).  Returns only when that fails, with the exit code.
int become_master(const Options& options);
// Runs the PHP program for `php-fpm -v`, `-m`, `-i`; likewise.
int become_php(const Options& options, const std::string& question);
// Before a start: has bulkhead-site finish or undo what an interrupted `bulkhead site` command left
// in the state directory, when there is something.  0, or the exit code of the failure.
int recover_sites(const Options& options);
// Runs bulkhead-site with the words of the command line as they are; likewise.
int become_site(std::span<char* const> words);
int become_import(std::span<char* const> words);
// Runs bulkhead-verify with the words of the command line as they are; likewise.
int become_verify(std::span<char* const> words);

// Has another of our programs say what may come next after these words of its command line.
int become_completer(const std::string& program, const std::vector<std::string>& words);

}  // namespace bulkhead::master
