#include "cli/usage.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/nearest.h"

namespace bulkhead::cli {
namespace {

struct Fault {
  const CLI::App* at = nullptr;  // the command that was reached
  std::string path;              // "bulkhead site cron"
  std::string command, option;   // the word that nobody knows
};

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

const CLI::App* command_named(const CLI::App& app, std::string_view name) {
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

// Follows the words down the commands, up to the first that is unknown.
Fault find_fault(const CLI::App& app, std::span<char* const> words) {
  Fault fault{&app, app.get_name(), "", ""};
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i];
    if (word == "--") break;
    if (word.starts_with("--")) {
      const size_t equals = word.find('=');
      const CLI::Option* option = fault.at->get_option_no_throw(word.substr(0, equals));
      if (option == nullptr) {
        fault.option = word.substr(0, equals);
        return fault;
      }
      if (equals == std::string::npos && option->get_items_expected_min() > 0) ++i;
      continue;
    }
    if (word.starts_with("-") || fault.at->get_subcommands(nullptr).empty()) continue;
    const CLI::App* next = command_named(*fault.at, word);
    if (next == nullptr) {
      fault.command = word;
      return fault;
    }
    fault.at = next;
    fault.path += " " + word;
  }
  return fault;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

std::string usage_fault(const CLI::App& app, std::span<char* const> words,
                        const std::string& reason) {
  const Fault fault = find_fault(app, words);
  std::string text = fault.path + ": ";
  const auto guess = [&](const std::string& what, const std::string& word,
                         const std::vector<std::string>& names) {
    const std::string meant = did_you_mean(word, names);
    text += "there is no " + what + " \"" + word + "\"" + (meant.empty() ? "." : meant);
  };
  if (!fault.command.empty()) {
    guess("command", fault.command, commands_of(*fault.at));
  } else if (!fault.option.empty()) {
    guess("option", fault.option, options_of(*fault.at));
  } else if (!fault.at->get_subcommands(nullptr).empty()) {
    text += "a command is missing: one of " + listed(commands_of(*fault.at)) + ".";
  } else {
    text += reason + ".";
  }
  return text + " See: " + fault.path + " --help";
}

int end_parse(const CLI::App& app, const CLI::ParseError& error, std::span<char* const> words,
              int code) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const Fault fault = find_fault(app, words);
  if (fault.command == "help") {
    const std::string above = fault.at == &app ? "" : fault.path.substr(0, fault.path.rfind(' '));
    std::fputs(fault.at->help(above).c_str(), stdout);
    return 0;
  }
  std::fprintf(stderr, "%s\n", usage_fault(app, words, error.what()).c_str());
  return code;
}

}  // namespace bulkhead::cli
