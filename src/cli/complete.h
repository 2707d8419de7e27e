// The words that may come next in a command line.
//
// Runs in: bulkhead, bulkhead-site, bulkhead-verify, bulkhead-import, as whoever types.  Input: an
// unfinished command line; names of files below /etc/bulkhead.
//
// What is printed: one candidate a line, a tab, a few words about it.  A line that begins with ":"
// asks the shell instead: ":file", ":directory", ":command"; ":nospace" - the word goes on.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_tree.h"

namespace bulkhead::cli {

// First word of the line in which one of our programs is asked for candidates; the unfinished words
// follow, the last one is to be completed.
constexpr std::string_view kAsk = "--complete";
constexpr size_t kNamesMax = 2000;  // of one kind; more help nobody

struct Candidate {
  std::string text, help;
};

struct Answer {
  std::vector<Candidate> candidates;  // those that begin with the last word, in order
  std::vector<std::string> shell;     // ":file" ...
  // Not "": that program of ours is to be asked, with `words`.
  std::string program;
  std::vector<std::string> words;
};

// Names of a kind ("SITE", "TEMPLATE", "ARCHIVE", "VERSION", "KEY=VALUE"), given the options typed
// so far ("--etc" -> "/x").
using Typed = std::map<std::string, std::string>;
using Names = std::function<std::vector<Candidate>(std::string_view kind, const Typed& typed)>;

// `words`: what follows the program's name; the last one is unfinished and may be empty.
[[nodiscard]] Answer complete(const Command& root, std::span<const std::string> words,
                              const Names& names);
[[nodiscard]] std::string to_text(const Answer& answer);

// Names from the places of `bulkhead site`: ETC/sites-available, ETC/templates, STATE/archive, the
// PHP programs beside our own.  What cannot be read offers nothing.
[[nodiscard]] std::vector<Candidate> names_of_machine(std::string_view kind, const Typed& typed);

// All of a program's part: prints the candidates for the words after kAsk.  The exit code.
int answer_shell(const Command& root, std::span<char* const> words,
                 const Names& names = names_of_machine);

}  // namespace bulkhead::cli
