// What a command line takes, as data: made from the parsers themselves, read by completion.
//
// Runs in: bulkhead, bulkhead-site, bulkhead-verify, bulkhead-import.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::cli {

// What stands for a value: "FILE", "DIR", "SITE" ... (see complete.h), or the words it may be.
struct Value {
  std::string kind;  // "": takes none
  std::vector<std::string> words;
};

struct Option {
  std::vector<std::string> names;  // "--json", "-q"
  Value value;
  std::string help;
  bool repeats = false;
};

struct Positional {
  Value value;
  bool repeats = false;  // takes every further word
};

struct Command {
  std::string name, help;
  std::vector<Option> options;
  std::vector<Positional> positionals;
  std::vector<Command> commands;
  // The first word that is no option begins something else ("exec SITE COMMAND ..."): options end.
  bool options_first = false;
  // Not "": another of our programs parses what follows, and completes it.
  std::string program;
};

}  // namespace bulkhead::cli
