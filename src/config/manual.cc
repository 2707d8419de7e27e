#include "config/manual.h"

#include <span>
#include <variant>

#include "config/fpm_table.h"
#include "config/nginx_table.h"

namespace bulkhead::config {
namespace {

// Text as man(7) prints it: no escape, no request at a line's start, "-" as typed.
std::string roff(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string sentence(std::string_view help) {
  std::string out(help);
  if (out.empty()) return out;
  if (out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  if (!out.ends_with('.')) out += '.';
  return out;
}

std::string words_form(uint32_t arguments) {
  if ((arguments & kFlag) != 0) return "on | off";
  std::string out;
  auto add = [&](std::string_view text) { (out += out.empty() ? "" : " or ") += text; };
  for (int i = 1; i <= 7; ++i) {
    if ((arguments >> i & 1) == 0) continue;
    add(i == 1 ? "1 word" : std::to_string(i) + " words");
  }
  if ((arguments & kAny) != 0) add("any words");
  if ((arguments & k1More) != 0) add("1 word or more");
  if ((arguments & k2More) != 0) add("2 words or more");
  if ((arguments & kBlock) != 0) return out + (out.empty() ? "" : " ") + "{ ... }";
  return out.empty() ? "no word" : out;
}

// What happens with it here, against what nginx does.
std::string state(const DirectiveRow& row) {
  switch (row.support) {
    case Support::kInForce:
      return row.bulkhead_only ? "Bulkhead's own" : "as nginx";
    case Support::kNoEffect:
      return "recognised, without effect: " + std::string(row.help);
    case Support::kWarned:
      return "differs: recognised, warned of: " + std::string(row.help);
    case Support::kUnsupported:
      return "differs: such a location answers 503: " + std::string(row.help);
    case Support::kRefused:
      return "refused: " + std::string(row.help);
  }
  return {};
}

std::string_view reload(const DirectiveRow& row) {
  if (row.support != Support::kInForce || row.reload != ReloadEffect::kRestart) return "";
  return " A change needs a new front or a restart.";
}

// The state of one value as the file would spell it; "" for none.
template <class T>
std::string default_of(const FpmRow<T>& row, const T& fresh) {
  if (auto* number = std::get_if<int T::*>(&row.field)) {
    const int value = fresh.*(*number);
    if (row.name == "process.priority") return "";  // a number that says: not set
    if (row.form == FpmForm::kSeconds && row.name == "systemd_interval") return "10s";
    if (row.form == FpmForm::kCoreLimit || row.name == "rlimit_files") return "";
    if (row.form == FpmForm::kSeconds) return std::to_string(value) + "s";
    return std::to_string(value);
  }
  if (auto* flag = std::get_if<bool T::*>(&row.field)) return fresh.*(*flag) ? "yes" : "no";
  if (auto* text = std::get_if<std::string T::*>(&row.field)) return fresh.*(*text);
  if (std::holds_alternative<FpmLevel T::*>(row.field)) return "notice";
  if (std::holds_alternative<std::vector<std::string> T::*>(row.field)) return ".php .phar";
  return "";  // pm: must be given
}

std::string_view form_name(FpmForm form) {
  switch (form) {
    case FpmForm::kInteger:
      return "number";
    case FpmForm::kSeconds:
      return "time: 30, 30s, 5m, 1h, 1d";
    case FpmForm::kBoolean:
      return "yes | no";
    case FpmForm::kLogLevel:
      return "debug | notice | warning | error | alert";
    case FpmForm::kFacility:
      return "daemon, local0, ...";
    case FpmForm::kCoreLimit:
      return "number | unlimited";
    case FpmForm::kPm:
      return "static | dynamic | ondemand";
    case FpmForm::kWords:
      return "words";
    case FpmForm::kSandbox:
      return "on | strict | off";
    case FpmForm::kString:
    case FpmForm::kChecked:
      break;
  }
  return "text";
}

template <class T>
std::string fpm_manual(std::span<const FpmRow<T>> rows) {
  const T fresh;
  std::string out;
  for (const FpmRow<T>& row : rows) {
    out += ".TP\n.BR " + roff(row.name) + " \" = " + roff(form_name(row.form)) + "\"\n";
    out += roff(sentence(row.help));
    const std::string value = default_of(row, fresh);
    if (!value.empty()) out += " Default: " + roff(value) + ".";
    if (row.owner == FpmOwner::kBulkhead) out += " Bulkhead's own.";
    if (row.force == FpmForce::kLater) {
      out += " Differs: read and checked, but not in force in this version.";
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::string nginx_manual() {
  std::string out;
  for (const DirectiveRow& row : directive_table()) {
    out += ".TP\n.BR " + roff(row.name) + " \" (" + roff(words_form(row.arguments)) + ")\"\n";
    out += "In: " + roff(context_names(row.contexts)) + ".\n";
    if (row.support == Support::kInForce) out += roff(sentence(row.help)) + "\n";
    if (!row.default_value.empty()) {
      std::string quoted(row.default_value);
      out += "Default: " + roff(quoted) + ".\n";
    }
    out += roff(sentence(state(row))) + std::string(reload(row)) + "\n";
  }
  return out;
}

std::string pool_manual() { return fpm_manual<PoolConfig>(fpm_pool_rows()); }
std::string global_manual() { return fpm_manual<FpmGlobal>(fpm_global_rows()); }

std::string fill_manual(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line == "@NGINX@") {
      out += nginx_manual();
    } else if (line == "@POOL@") {
      out += pool_manual();
    } else if (line == "@GLOBAL@") {
      out += global_manual();
    } else {
      out.append(line).append("\n");
    }
  }
  return out;
}

}  // namespace bulkhead::config
