#include "cli/describe.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace bulkhead::cli {
namespace {

// CLI11 writes a checked type as "TEXT:{a,b,c}".
Value value_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return {};
  Value value;
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.rfind('}');
  value.kind = type.substr(0, type.find(':'));
  if (value.kind.empty()) value.kind = "TEXT";
  if (open == std::string::npos || close == std::string::npos || close < open) return value;
  std::string word;
  for (char c : type.substr(open + 1, close - open - 1) + ",") {
    if (c != ',') {
      word += c;
    } else if (!word.empty()) {
      value.words.push_back(std::exchange(word, ""));
    }
  }
  return value;
}

bool takes_many(const CLI::Option& option) {
  return option.get_items_expected_max() >= CLI::detail::expected_max_vector_size;
}

// "<file>", "signal", "foo[=bar]" of a usage text -> what is to be completed.
Value value_named(std::string_view text) {
  auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  Value value{"TEXT", {}};
  if (text == "signal") value.words = {"stop", "quit", "reopen", "reload"};
  if (has("file") || has("pid")) value.kind = "FILE";
  if (has("dir") && !has("directives")) value.kind = "DIR";
  if (text == "prefix") value.kind = "DIR";
  return value;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  for (size_t i = 0; (i = text.find_first_not_of(' ', i)) != std::string_view::npos;) {
    const size_t end = std::min(text.find(' ', i), text.size());
    out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

// "-?,-h" and "-p," -> names.
void add_names(std::string_view word, Option* option) {
  while (!word.empty()) {
    const size_t comma = std::min(word.find(','), word.size());
    if (comma > 1) option->names.emplace_back(word.substr(0, comma));
    word.remove_prefix(std::min(comma + 1, word.size()));
  }
}

Option option_of_line(std::string_view line) {
  Option option;
  const auto words = split_words(line);
  size_t i = 0;
  while (i < words.size() && words[i].starts_with('-')) add_names(words[i++], &option);
  const bool has_colon = line.find(" : ") != std::string_view::npos;
  const bool is_value =
      i < words.size() && words[i] != ":" &&
      (has_colon || words[i].starts_with('<') || words[i].find('[') != std::string::npos);
  if (is_value) option.value = value_named(words[i++]);
  if (i < words.size() && words[i] == ":") ++i;
  for (; i < words.size(); ++i) (option.help += option.help.empty() ? "" : " ") += words[i];
  return option;
}

}  // namespace

Command describe(const CLI::App& app) {
  Command out{app.get_name(), app.get_description(), {}, {}, {}, false, ""};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      out.positionals.push_back({value_of(*option), takes_many(*option)});
      continue;
    }
    Option made{{}, value_of(*option), option->get_description(), takes_many(*option)};
    for (const std::string& name : option->get_lnames()) made.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) made.names.push_back("-" + name);
    out.options.push_back(std::move(made));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.commands.push_back(describe(*command));
  }
  return out;
}

Command from_usage(std::string_view name, std::string_view help, std::string_view usage) {
  Command out{std::string(name), std::string(help), {}, {}, {}, false, ""};
  while (!usage.empty()) {
    const size_t end = std::min(usage.find('\n'), usage.size());
    const std::string_view line = usage.substr(0, end);
    usage.remove_prefix(std::min(end + 1, usage.size()));
    const size_t text = line.find_first_not_of(' ');
    if (text == std::string_view::npos || text == 0) continue;
    if (line[text] == '-') {
      out.options.push_back(option_of_line(line));
    } else if (!out.options.empty() && out.options.back().help.empty()) {
      out.options.back().help = line.substr(text);  // the words stand on the next line
    }
  }
  return out;
}

}  // namespace bulkhead::cli
