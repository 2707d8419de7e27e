// The texts of a site: its server block from a template, its pool, its page while disabled.
//
// Runs in: bulkhead-site.  Input: templates under ETC (root's), words of the command line (checked
// here: no value can end the line or the quotes it is written in).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sites/places.h"
#include "sites/record.h"

namespace bulkhead::sites {

// A template: nginx text, with lines "#: WORD ..." that say what else a site of it gets.
struct Template {
  std::string text;                  // without those lines
  std::string root = "public";       // below the home
  std::vector<std::string> folders;  // more folders of the home that the user owns
  std::string page, db_page;         // files of templates/ that go into the root
  bool has_pool = true;
  std::vector<std::string> pool, mariadb, sqlite;  // lines for the pool's file
};
[[nodiscard]] Result<Template> read_template(const Places& places, const std::string& name);
// The text of a file in ETC/templates, or of the one that comes with the program.
[[nodiscard]] Result<std::string> template_text(const Places& places, const std::string& file);
// Names that --template takes.
[[nodiscard]] std::vector<std::string> template_names(const Places& places);

// @NAME@, @ROOT@ ... replaced; @RANDOM@ by 64 random characters each.
[[nodiscard]] std::string fill(const std::string& text, const Places& places, const Record& record);

// What the administrator asked of the pool.
struct PoolWishes {
  std::string php, memory, cpu, tasks, disk;
  std::vector<std::pair<std::string, std::string>> env;
};

[[nodiscard]] std::string server_text(const Places& places, const Record& record,
                                      const Template& from);
[[nodiscard]] Result<std::string> pool_text(const Places& places, const Record& record,
                                            const Template& from, const PoolWishes& wishes);
[[nodiscard]] Result<std::string> disabled_text(const Places& places, const Record& record);

// "name = value" for a pool's file, quoted where it must be.
// Errors: a value that cannot be written there.
[[nodiscard]] Result<std::string> pool_line(const std::string& name, const std::string& value);
// Sets one directive in the text of a pool's file: its line is replaced, or added at the end; an
// empty value takes it out.  Everything else stays as the administrator wrote it.
[[nodiscard]] Result<std::string> with_pool_value(const std::string& text, const std::string& name,
                                                  const std::string& value);

}  // namespace bulkhead::sites
