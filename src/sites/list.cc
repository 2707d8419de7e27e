// bulkhead site list and show.
//
// Runs in: bulkhead-site.  Input: records and configuration (root's).
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "config/pool_limits.h"
#include "sites/session.h"
#include "sites/tree.h"

namespace bulkhead::sites {
namespace {

using nlohmann::json;

const config::PoolConfig* pool_named(const master::Loaded& loaded, const std::string& name) {
  auto at = loaded.pool_by_name.find(name);
  return at == loaded.pool_by_name.end() ? nullptr : &loaded.fpm->pools[at->second];
}

std::string php_of(const Record& record, const config::PoolConfig* pool) {
  if (!record.has_pool) return "-";
  return pool == nullptr || pool->php_version.empty() ? "default" : pool->php_version;
}

// "disabled", or what the server says; "not served" when none runs.
std::string state_of(const Record& record, const std::optional<ServerStatus>& server) {
  if (record.disabled) return "disabled";
  if (!server) return "no server";
  auto at = server->sites.find(record.has_pool ? record.name : "@" + record.user);
  return at == server->sites.end() ? "not served" : at->second.state;
}

// What the server says about it; nothing when none runs, or that serves it not.
SiteStatus status_of(const Record& record, const std::optional<ServerStatus>& server) {
  if (!server) return {};
  auto at = server->sites.find(record.has_pool ? record.name : "@" + record.user);
  return at == server->sites.end() ? SiteStatus() : at->second;
}

// "34M"; "-" for nothing.
std::string megabytes(uint64_t bytes) {
  return bytes == 0 ? "-" : std::to_string((bytes + (1 << 20) - 1) >> 20) + "M";
}

// "34M of 512M", as far as each is known.
std::string memory_text(const SiteStatus& now, const config::PoolConfig* pool) {
  const std::string used = megabytes(now.memory_bytes);
  return pool == nullptr || pool->limit_memory.empty() ? used : used + " of " + pool->limit_memory;
}

// "12 s ago", "3 min ago" ...; "-" for never.
std::string ago(int64_t then) {
  if (then == 0) return "-";
  const int64_t seconds = std::max<int64_t>(::time(nullptr) - then, 0);
  if (seconds < 120) return std::to_string(seconds) + " s ago";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min ago";
  if (seconds < 172800) return std::to_string(seconds / 3600) + " h ago";
  return std::to_string(seconds / 86400) + " d ago";
}

json to_object(const Record& record, const config::PoolConfig* pool,
               const std::optional<ServerStatus>& server) {
  json out = json::parse(to_json(record), nullptr, false);
  out["state"] = state_of(record, server);
  out["names"] = served_names(record);
  out["php"] = php_of(record, pool);
  const SiteStatus now = status_of(record, server);
  out["workers"] = now.workers;
  out["workers_busy"] = now.workers_busy;
  out["memory_bytes"] = now.memory_bytes;
  out["requests"] = now.requests;
  out["last_request"] = now.last_request == 0 ? json(nullptr) : json(now.last_request);
  out["memory_limit"] = pool == nullptr ? "" : pool->limit_memory;
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) (out += out.empty() ? "" : " ") += word;
  return out;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const bool bold = ::isatty(1) != 0;
  for (size_t number = 0; number < rows.size(); ++number) {
    std::string line;
    for (size_t i = 0; i < rows[number].size(); ++i) {
      line += rows[number][i];
      if (i + 1 < rows[number].size()) line.append(widths[i] - rows[number][i].size() + 2, ' ');
    }
    const bool head = bold && number == 0;
    std::printf("%s%s%s\n", head ? "\033[1m" : "", line.c_str(), head ? "\033[0m" : "");
  }
}

// One setting in force, and the place it comes from.
struct Fact {
  std::string what, value, where;
};

std::string at(const std::string& file, uint32_t line) {
  return file.empty() ? "" : file + (line == 0 ? "" : ":" + std::to_string(line));
}

std::vector<Fact> server_facts(const Record& record, const master::Loaded& loaded) {
  std::vector<Fact> facts;
  const auto& files = loaded.snapshot.ast.files;
  for (const auto& server : loaded.model->servers) {
    std::string names, listens;
    bool is_ours = false;
    for (const config::ServerName& name : server->names) {
      (names += names.empty() ? "" : " ") += name.text;
      is_ours |= name.text == record.name || name.text == "www." + record.name;
    }
    if (!is_ours) continue;
    for (uint32_t listen : server->listens) {
      (listens += listens.empty() ? "" : " ") += loaded.model->listens[listen].text;
    }
    const std::string where =
        at(server->file < files.size() ? files[server->file].path : "", server->line);
    facts.push_back({"server_name", names, where});
    facts.push_back({"listen", listens, where});
    if (server->root && server->root->conf.root.is_literal()) {
      facts.push_back({"root", std::string(server->root->conf.root.literal()), where});
    }
  }
  return facts;
}

// The lines of a pool as `php-fpm -tt` prints them, defaults filled in.
std::vector<Fact> pool_facts(const config::PoolConfig& pool) {
  config::FpmConfig alone;
  alone.pools.push_back(pool);
  std::vector<Fact> facts;
  bool inside = false;
  for (const std::string& line : config::dump_fpm(alone)) {
    if (line.starts_with('[')) inside = line == "[" + pool.name + "]";
    const size_t equals = line.find(" = ");
    if (!inside || equals == std::string::npos || line.ends_with("= undefined")) continue;
    facts.push_back(
        {line.substr(1, equals - 1), line.substr(equals + 3), at(pool.file, pool.line)});
  }
  return facts;
}

Result<std::vector<Fact>> facts_of(const Common& common, const Record& record) {
  const std::string from = common.places.record(record.name);
  std::vector<Fact> facts{
      {"user", record.user, from},
      {"home", record.home, from},
      {"template", record.made_from, from},
      {"database", record.database_name.empty() ? record.database : record.database_name, from},
      {"sftp", record.comes_in() ? "yes" : "no", from},
      {"shell", record.shell ? "yes, in its sandbox" : "no", from},
      {"created", record.created, from}};
  const master::Loaded loaded = TRY(load_all(common.places));
  for (Fact& fact : server_facts(record, loaded)) facts.push_back(std::move(fact));
  if (const auto* pool = pool_named(loaded, record.name)) {
    for (Fact& fact : pool_facts(*pool)) facts.push_back(std::move(fact));
  }
  return facts;
}

Status list(const Common& common) {
  const auto records = TRY(read_records(common.places));
  const auto path = pid_path(common.places);
  const auto server = path ? ask_server(*path, Ask::kFigures) : std::nullopt;
  std::optional<master::Loaded> loaded;
  if (auto read = load_all(common.places)) {
    loaded = std::move(*read);
  } else if (!records.empty()) {
    std::fprintf(stderr, "bulkhead site: %s\n", read.error().describe().c_str());
  }
  json array = json::array();
  std::vector<std::vector<std::string>> rows{{"SITE", "STATE", "USER", "PHP", "WORKERS", "MEMORY",
                                              "REQUESTS", "LAST REQUEST", "OTHER NAMES"}};
  for (const Record& record : records) {
    const auto* pool = loaded ? pool_named(*loaded, record.name) : nullptr;
    if (common.json) {
      array.push_back(to_object(record, pool, server));
      continue;
    }
    std::vector<std::string> others = served_names(record);
    others.erase(others.begin());
    const SiteStatus now = status_of(record, server);
    rows.push_back({record.name, state_of(record, server), record.user, php_of(record, pool),
                    std::to_string(now.workers), memory_text(now, pool),
                    std::to_string(now.requests), ago(now.last_request), joined(others)});
  }
  if (common.json) {
    std::printf("%s\n", array.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  } else if (records.empty()) {
    std::printf("no sites yet; make one: bulkhead site add NAME\n");
  } else {
    print_table(rows);
  }
  return {};
}

Status show(const Common& common, const std::string& name) {
  const Record record = TRY(read_record(common.places, name));
  const auto facts = TRY(facts_of(common, record));
  const std::string state = state_of(record, server_now(common.places));
  if (common.json) {
    json settings = json::array();
    for (const Fact& fact : facts) {
      settings.push_back({{"name", fact.what}, {"value", fact.value}, {"from", fact.where}});
    }
    const json out{{"site", name}, {"state", state}, {"settings", settings}};
    std::printf("%s\n", out.dump(2, ' ', false, json::error_handler_t::replace).c_str());
    return {};
  }
  std::printf("%s: %s\n", name.c_str(), state.c_str());
  std::vector<std::vector<std::string>> rows{{"SETTING", "VALUE", "FROM"}};
  for (const Fact& fact : facts) rows.push_back({fact.what, fact.value, fact.where});
  print_table(rows);
  return {};
}

}  // namespace

int list_sites(const Common& common) {
  auto done = list(common);
  return done ? static_cast<int>(kExitDone) : complain(common, done.error());
}

int show_site(const Common& common, const std::string& name) {
  auto done = show(common, name);
  return done ? static_cast<int>(kExitDone) : complain(common, done.error());
}

}  // namespace bulkhead::sites
