#include "cli/complete.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace bulkhead::cli {
namespace {

// Reads the words before the last one: which command it is, which option waits for its value.
class Walk {
 public:
  Walk(const Command& root, const Names& names) : command_(&root), names_(names) {}

  Answer run(std::span<const std::string> words) {
    for (size_t i = 0; i + 1 < words.size(); ++i) {
      take(words[i]);
      if (command_->program.empty()) continue;
      answer_.program = command_->program;
      answer_.words.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      return std::move(answer_);
    }
    last_ = words.empty() ? "" : words.back();
    offer();
    return std::move(answer_);
  }

 private:
  const Option* find(std::string_view name) const {
    for (const Option& option : command_->options) {
      const auto& names = option.names;
      if (std::find(names.begin(), names.end(), name) != names.end()) return &option;
    }
    return nullptr;
  }

  void take(const std::string& word) {
    if (waiting_ != nullptr) {
      typed_[std::exchange(waiting_, nullptr)->names.front()] = word;
      return;
    }
    if (!options_ended_ && word == "--") {
      options_ended_ = true;
      return;
    }
    if (!options_ended_ && word.starts_with('-') && word.size() > 1) {
      const size_t equals = word.find('=');
      const Option* option = find(word.substr(0, equals));
      if (option == nullptr) return;
      typed_[option->names.front()] = equals == std::string::npos ? "" : word.substr(equals + 1);
      if (equals == std::string::npos && !option->value.kind.empty()) waiting_ = option;
      return;
    }
    for (const Command& command : command_->commands) {
      if (taken_ != 0 || command.name != word) continue;
      command_ = &command;
      typed_.clear();
      return;
    }
    ++taken_;
    options_ended_ |= command_->options_first;
  }

  void offer() {
    if (waiting_ != nullptr) return offer_value(waiting_->value, "");
    const size_t equals = last_.find('=');
    if (!options_ended_ && last_.starts_with("--") && equals != std::string::npos) {
      if (const Option* option = find(last_.substr(0, equals))) {
        offer_value(option->value, last_.substr(0, equals + 1));
      }
      return;
    }
    if (!options_ended_ && last_.starts_with('-')) return offer_options();
    if (taken_ == 0) {
      for (const Command& command : command_->commands) add(command.name, command.help);
    }
    const auto& positionals = command_->positionals;
    if (!positionals.empty()) {
      const size_t at = std::min(taken_, positionals.size() - 1);
      if (taken_ < positionals.size() || positionals[at].repeats) {
        offer_value(positionals[at].value, "");
      }
    }
    const bool is_done = answer_.candidates.empty() && answer_.shell.empty();
    if (is_done && last_.empty() && !options_ended_) offer_options();
  }

  void offer_options() {
    for (const Option& option : command_->options) {
      const bool is_typed = !option.names.empty() && typed_.contains(option.names.front());
      if (is_typed && !option.repeats) continue;
      for (const std::string& name : option.names) {
        // One letter is offered to who typed no more than "-".
        if (name.starts_with("--") || last_ == "-" || option.names.size() == 1) {
          add(name, option.help);
        }
      }
    }
  }

  void offer_value(const Value& value, const std::string& before) {
    for (const std::string& word : value.words) add(before + word, "");
    if (value.kind == "FILE") return answer_.shell.emplace_back(":file"), void();
    if (value.kind == "DIR") return answer_.shell.emplace_back(":directory"), void();
    if (value.kind == "COMMAND") return answer_.shell.emplace_back(":command"), void();
    for (const Candidate& name : names_(value.kind, typed_)) add(before + name.text, name.help);
    const auto& all = answer_.candidates;
    const bool goes_on = std::any_of(all.begin(), all.end(),
                                     [](const auto& each) { return each.text.ends_with('='); });
    if (goes_on) answer_.shell.emplace_back(":nospace");
  }

  void add(const std::string& text, const std::string& help) {
    if (text.starts_with(last_)) answer_.candidates.push_back({text, help});
  }

  const Command* command_;
  const Names& names_;
  const Option* waiting_ = nullptr;
  size_t taken_ = 0;  // words that are neither options nor commands
  bool options_ended_ = false;
  Typed typed_;
  std::string last_;
  Answer answer_;
};

std::string place(const Typed& typed, const char* option, const char* variable,
                  const char* otherwise) {
  if (auto said = typed.find(option); said != typed.end()) return said->second;
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// Names in a directory that end in `end`, without it.
std::vector<Candidate> entries(const std::string& directory, std::string_view begin,
                               std::string_view end) {
  std::vector<Candidate> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), none; !error && at != none;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.size() <= begin.size() + end.size() || name.starts_with('.')) continue;
    if (!name.starts_with(begin) || !name.ends_with(end)) continue;
    out.push_back({name.substr(begin.size(), name.size() - begin.size() - end.size()), ""});
    if (out.size() == kNamesMax) break;
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.text < b.text; });
  return out;
}

// A name from a directory is not ours: nothing in it may end a line or reach a terminal raw.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c > 0x20 && c != 0x7f; });
}

}  // namespace

Answer complete(const Command& root, std::span<const std::string> words, const Names& names) {
  return Walk(root, names).run(words);
}

std::string to_text(const Answer& answer) {
  std::string out;
  for (const Candidate& each : answer.candidates) {
    if (!is_plain(each.text) || each.text.starts_with(':')) continue;
    out += each.text;
    if (!each.help.empty()) out += "\t" + each.help.substr(0, each.help.find('\n'));
    out += "\n";
  }
  for (const std::string& line : answer.shell) out += line + "\n";
  return out;
}

std::vector<Candidate> names_of_machine(std::string_view kind, const Typed& typed) {
  const std::string etc = place(typed, "--etc", "BULKHEAD_ETC", "/etc/bulkhead");
  const std::string state = place(typed, "--state", "BULKHEAD_STATE", "/var/lib/bulkhead");
  if (kind == "SITE") return entries(etc + "/sites-available", "", ".conf");
  if (kind == "ARCHIVE") return entries(state + "/archive", "", "");
  if (kind == "TEMPLATE") {
    auto out = entries(etc + "/templates", "", ".conf");
    for (const char* own :
         {"php", "wordpress", "laravel", "symfony", "drupal", "mediawiki", "static"}) {
      const bool has = std::any_of(out.begin(), out.end(), [&](auto& c) { return c.text == own; });
      if (!has) out.push_back({own, ""});
    }
    std::erase_if(out, [](const Candidate& c) { return c.text == "disabled"; });
    return out;
  }
  if (kind == "VERSION") {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? std::vector<Candidate>() : entries(self.parent_path(), "bulkhead-php", "");
  }
  return {};
}

int answer_shell(const Command& root, std::span<char* const> words, const Names& names) {
  const std::vector<std::string> typed(words.begin(), words.end());
  const std::string text = to_text(complete(root, typed, names));
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}

}  // namespace bulkhead::cli
