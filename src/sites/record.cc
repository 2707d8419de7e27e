#include "sites/record.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "sys/directory.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

using nlohmann::json;
constexpr size_t kRecordMax = 1 << 20;

// One row per field of a kind: the file and the struct by the same name.
struct TextField {
  const char* name;
  std::string Record::*field;
};
struct FlagField {
  const char* name;
  bool Record::*field;
};
struct ListField {
  const char* name;
  std::vector<std::string> Record::*field;
};
constexpr TextField kTexts[] = {{"name", &Record::name},
                                {"user", &Record::user},
                                {"home", &Record::home},
                                {"root", &Record::root},
                                {"template", &Record::made_from},
                                {"www", &Record::www},
                                {"database", &Record::database},
                                {"database_name", &Record::database_name},
                                {"database_socket", &Record::database_socket},
                                {"created", &Record::created}};
constexpr FlagField kFlags[] = {{"own_user", &Record::own_user}, {"own_home", &Record::own_home},
                                {"own_root", &Record::own_root}, {"has_pool", &Record::has_pool},
                                {"disabled", &Record::disabled}, {"sftp", &Record::sftp},
                                {"shell", &Record::shell}};
constexpr ListField kLists[] = {
    {"folders", &Record::folders}, {"aliases", &Record::aliases}, {"listen", &Record::listen}};

std::vector<std::string> names_of_sites(const Places& places) {
  constexpr size_t kAmongMax = 10'000;
  std::vector<std::string> names;
  sys::Fd directory(::open(places.records().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return names;
  auto files = sys::names_in(directory);
  if (!files) return names;
  std::sort(files->begin(), files->end());
  for (const std::string& file : *files) {
    if (names.size() < kAmongMax && file.ends_with(".json")) {
      names.push_back(file.substr(0, file.size() - 5));
    }
  }
  return names;
}

}  // namespace

std::string to_json(const Record& record) {
  json out;
  for (const TextField& row : kTexts) out[row.name] = record.*(row.field);
  for (const FlagField& row : kFlags) out[row.name] = record.*(row.field);
  for (const ListField& row : kLists) out[row.name] = record.*(row.field);
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Record> parse_record(const std::string& text) {
  const json whole = json::parse(text, nullptr, false);
  if (!whole.is_object()) return fail("is not the record of a site");
  Record record;
  for (const TextField& row : kTexts) {
    if (whole.contains(row.name) && whole[row.name].is_string()) {
      record.*(row.field) = whole[row.name].get<std::string>();
    }
  }
  for (const FlagField& row : kFlags) {
    if (whole.contains(row.name) && whole[row.name].is_boolean()) {
      record.*(row.field) = whole[row.name].get<bool>();
    }
  }
  for (const ListField& row : kLists) {
    if (!whole.contains(row.name) || !whole[row.name].is_array()) continue;
    for (const json& item : whole[row.name]) {
      if (item.is_string()) (record.*(row.field)).push_back(item.get<std::string>());
    }
  }
  if (record.name.empty() || record.user.empty() || !record.home.starts_with('/')) {
    return fail("is not the record of a site");
  }
  return record;
}

Result<Record> read_record(const Places& places, const std::string& name) {
  const std::string path = places.record(name);
  if (name.find('/') != std::string::npos || name.starts_with('.')) {
    return fail("\"" + name + "\" is no site's name");
  }
  auto text = sys::read_file(path, kRecordMax);
  if (!text && text.error().errno_value == ENOENT) {
    const std::string meant = did_you_mean(name, names_of_sites(places));
    return fail("there is no site \"" + name + "\"" + (meant.empty() ? "; see" : meant + " See") +
                ": bulkhead site list");
  }
  if (!text) return std::unexpected(text.error());
  auto record = parse_record(*text);
  if (!record) return fail(path + " " + record.error().text);
  return record;
}

Result<std::vector<Record>> read_records(const Places& places) {
  std::vector<Record> records;
  sys::Fd directory(::open(places.records().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() && errno == ENOENT) return records;
  if (!directory.valid()) return fail_errno("cannot open " + places.records());
  std::vector<std::string> names = TRY(sys::names_in(directory));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!name.ends_with(".json")) continue;
    records.push_back(TRY(read_record(places, name.substr(0, name.size() - 5))));
  }
  return records;
}

std::string utc_now() {
  const time_t now = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void add_alias(const std::string& name, Record* record) {
  const auto names = served_names(*record);
  if (std::find(names.begin(), names.end(), name) == names.end()) record->aliases.push_back(name);
}

std::vector<std::string> served_names(const Record& record) {
  std::vector<std::string> names{record.name};
  if (record.www == "serve") names.push_back("www." + record.name);
  names.insert(names.end(), record.aliases.begin(), record.aliases.end());
  return names;
}

}  // namespace bulkhead::sites
