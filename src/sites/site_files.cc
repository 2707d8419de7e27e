#include "sites/site_files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "sites/embedded.h"
#include "sys/directory.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kTemplateMax = 1 << 20;
constexpr std::string_view kMark = "#: ";

std::string random_text() {
  static constexpr char kAlphabet[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  unsigned char bytes[64];
  BH_CHECK(::getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  std::string out;
  for (unsigned char byte : bytes) out += kAlphabet[byte % 64];
  return out;
}

void replace_all(std::string* text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text->find(what, at)) != std::string::npos; at += by.size()) {
    text->replace(at, what.size(), by);
  }
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) (out += out.empty() ? "" : between) += word;
  return out;
}

std::string listen_lines(const std::vector<std::string>& listen, const char* after) {
  std::string out;
  for (const std::string& address : listen) {
    (out += out.empty() ? "" : "\n    ") += "listen " + address + after + ";";
  }
  return out;
}

// "#: root app/public": one word that says what, then the rest of the line.
Status take_mark(std::string_view line, Template* into) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  const std::string rest(line.substr(std::min(space + 1, line.size())));
  if (word == "root")
    into->root = rest;
  else if (word == "folder")
    into->folders.push_back(rest);
  else if (word == "page")
    into->page = rest;
  else if (word == "db-page")
    into->db_page = rest;
  else if (word == "pool")
    into->pool.push_back(rest);
  else if (word == "mariadb")
    into->mariadb.push_back(rest);
  else if (word == "sqlite")
    into->sqlite.push_back(rest);
  else if (word == "no-pool")
    into->has_pool = false;
  else
    return fail("unknown word \"" + std::string(word) + "\" after \"#:\"");
  return {};
}

std::string quoted_value(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '/' || c == '_' || c == '-' || c == ':' || c == '%';
  });
  return plain ? value : "\"" + value + "\"";
}

}  // namespace

Result<std::string> template_text(const Places& places, const std::string& file) {
  auto text = sys::read_file(places.etc + "/templates/" + file, kTemplateMax);
  if (text || text.error().errno_value != ENOENT) return text;
  for (const EmbeddedFile& embedded : embedded_files()) {
    if (embedded.name == "templates/" + file) return std::string(embedded.text);
  }
  return fail("there is no template \"" + file + "\" in " + places.etc + "/templates");
}

std::vector<std::string> template_names(const Places& places) {
  std::vector<std::string> names;
  auto take = [&](std::string_view file) {
    if (!file.ends_with(".conf") || file == "disabled.conf") return;
    names.emplace_back(file.substr(0, file.size() - 5));
  };
  for (const EmbeddedFile& embedded : embedded_files()) {
    if (embedded.name.starts_with("templates/")) take(embedded.name.substr(10));
  }
  sys::Fd directory(::open((places.etc + "/templates").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) {
    if (auto files = sys::names_in(directory)) {
      for (const std::string& file : *files) take(file);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<Template> read_template(const Places& places, const std::string& name) {
  const auto names = template_names(places);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return fail("there is no template \"" + name + "\"; there are: " + joined(names, ", "));
  }
  const std::string text = TRY(template_text(places, name + ".conf"));
  Template out;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (!line.starts_with(kMark)) {
      (out.text += line) += '\n';
    } else if (auto taken = take_mark(line.substr(kMark.size()), &out); !taken) {
      return fail(places.template_file(name) + ":" + std::to_string(number) + ": " +
                  taken.error().text);
    }
  }
  if (out.root.empty() || out.root.starts_with('/') || out.root.find("..") != std::string::npos) {
    return fail(places.template_file(name) + ": \"#: root\" must be a path below the home");
  }
  return out;
}

std::string fill(const std::string& text, const Places& places, const Record& record) {
  const std::string socket =
      record.database_socket.empty() ? "/run/mysqld/mysqld.sock" : record.database_socket;
  const std::pair<const char*, std::string> words[] = {
      {"@NAME@", record.name},
      {"@SERVER_NAMES@", joined(served_names(record), " ")},
      {"@LISTEN@", listen_lines(record.listen, "")},
      {"@LISTEN_DEFAULT@", listen_lines(record.listen, " default_server")},
      {"@USER@", record.user},
      {"@HOME@", record.home},
      {"@ROOT@", record.root},
      {"@LOGS@", record.home + "/logs"},
      {"@SOCKET@", places.socket(record.user)},
      {"@ETC@", places.etc},
      {"@DB_NAME@", record.database_name},
      {"@DB_SOCKET@", socket},
      {"@SQLITE@", record.home + "/private/database.sqlite"},
  };
  std::string out = text;
  for (const auto& [word, value] : words) replace_all(&out, word, value);
  for (size_t at = 0; (at = out.find("@RANDOM@", at)) != std::string::npos;) {
    out.replace(at, 8, random_text());
  }
  return out;
}

std::string server_text(const Places& places, const Record& record, const Template& from) {
  std::string text = fill(from.text, places, record);
  if (record.www != "redirect") return text;
  return text + "server {\n    " + listen_lines(record.listen, "") + "\n    server_name www." +
         record.name + ";\n    access_log off;\n    return 301 $scheme://" + record.name +
         "$request_uri;\n}\n";
}

Result<std::string> pool_line(const std::string& name, const std::string& value) {
  for (unsigned char c : value) {
    if (c < 0x20 || c == '"' || c == '\\' || c == '$') {
      return fail("the value of " + name +
                  " may hold no control characters, no quotes, no '\\' and no '$'");
    }
  }
  return name + " = " + quoted_value(value) + "\n";
}

Result<std::string> pool_text(const Places& places, const Record& record, const Template& from,
                              const PoolWishes& wishes) {
  std::string out = "; The PHP of " + record.name +
                    ": a pool in php-fpm's language.  Change it as you like, then:\n"
                    "; bulkhead reload\n[" +
                    record.name + "]\nuser = " + record.user + "\ngroup = " + record.user +
                    "\nlisten = " + places.socket(record.user) +
                    "\nlisten.mode = 0600\npm = ondemand\npm.max_children = 5\n"
                    "pm.process_idle_timeout = 30s\nidle_timeout = 5m\n";
  for (const std::string& line : from.pool) out += line + "\n";
  const std::pair<const char*, std::string> limits[] = {{"php", wishes.php},
                                                        {"limit.memory", wishes.memory},
                                                        {"limit.cpu", wishes.cpu},
                                                        {"limit.tasks", wishes.tasks},
                                                        {"limit.disk", wishes.disk}};
  for (const auto& [name, value] : limits) {
    if (!value.empty()) out += TRY(pool_line(name, value));
  }
  const auto& database = record.database == "mariadb" ? from.mariadb : from.sqlite;
  if (record.database != "none") {
    for (const std::string& line : database) out += fill(line, places, record) + "\n";
  }
  if (record.database == "mariadb" && !record.database_socket.empty()) {
    // An unusual place, which no site's view holds by itself.
    const std::string& socket = record.database_socket;
    out += TRY(pool_line("sandbox.read[]", socket.substr(0, socket.rfind('/'))));
  }
  for (const auto& [name, value] : wishes.env) out += TRY(pool_line("env[" + name + "]", value));
  return out;
}

Result<std::string> disabled_text(const Places& places, const Record& record) {
  Record all = record;
  if (all.www == "redirect") all.www = "serve";
  return fill(TRY(template_text(places, "disabled.conf")), places, all);
}

Result<std::string> with_pool_value(const std::string& text, const std::string& name,
                                    const std::string& value) {
  const std::string line = value.empty() ? "" : TRY(pool_line(name, value));
  std::string out;
  bool placed = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view old = std::string_view(text).substr(at, end - at);
    at = end;
    const size_t equals = old.find('=');
    std::string_view word = old.substr(0, equals == std::string_view::npos ? 0 : equals);
    while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
    while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
    if (word != name) {
      out += old;
    } else if (!placed) {
      out += line;
      placed = true;
    }
  }
  if (!out.empty() && out.back() != '\n') out += '\n';
  return placed ? out : out + line;
}

}  // namespace bulkhead::sites
