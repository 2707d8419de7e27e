// The two hostile roles of `bulkhead verify`, as native code: the attacker, who tries to reach his
// neighbour, and the victim, who keeps evidence for him to find.
//
// Runs in: bulkhead-probe, inside a site's sandbox, as the site's user.  Input: lines from verify.
// Everything here uses raw system calls on purpose: an attacker does, and a wrapper could refuse
// what the kernel would have allowed.  The program is static: it needs nothing of the site's view.
#pragma once

#include <cerrno>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead::probe {

// What verify told: names of the neighbour's things ("secret" -> "/srv/b/secret.php"), never what
// is in them.
class Facts {
 public:
  void set(std::string key, std::string value) { values_[std::move(key)] = std::move(value); }
  // "" when it was not told.
  [[nodiscard]] const std::string& operator[](std::string_view key) const;
  [[nodiscard]] long number(std::string_view key) const;
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& all() const {
    return values_;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// What an attack came to.
struct Finding {
  std::string got;     // bytes that were obtained; verify looks for the marker in them
  bool done = false;   // every call succeeded (for attacks that change something)
  int error = 0;       // errno of the step that was refused
  std::string step;    // ... and the step: "open /srv/b/secret.php"
  std::string cannot;  // why it could not be tried at all
};
inline Finding refused(std::string step, int error = errno) { return {{}, false, error, step, {}}; }
inline Finding obtained(std::string got) { return {std::move(got), true, 0, {}, {}}; }
inline Finding cannot(std::string why) { return {{}, false, 0, {}, std::move(why)}; }

using Attack = Finding (*)(const Facts&);
struct Row {
  std::string_view id;
  Attack run;
};
// One table per subject; the ids are those of verify's table of probes.
std::span<const Row> file_attacks();
std::span<const Row> process_attacks();
std::span<const Row> socket_attacks();
std::span<const Row> ipc_attacks();
std::span<const Row> kernel_attacks();
std::span<const Row> load_attacks();

// Reads lines "fact NAME VALUE" and "probe ID" until "end"; answers every probe with one line of
// JSON.  A probe that dies or takes longer than 20 s is answered for.
int attacker();
// Reads "fact NAME VALUE" until "end", plants the evidence, answers with one line of JSON, then
// answers "check NAME" until its input ends; takes everything away again.
int victim();

// {"id":"A1","got":"...","done":false,"errno":13,"step":"open /x","cannot":""} and a line end.
std::string to_json(std::string_view id, const Finding& finding);
std::string json_text(std::string_view text);
// One line of standard input without its end.  False at the end of input.
bool read_line(std::string* line);
void write_out(std::string_view text);

// At most `bytes_max` of a file, or the refusal.
Finding read_path(const std::string& path, size_t bytes_max = 65536);
// Likewise the last `bytes_max`.
Finding read_end(const std::string& path, size_t bytes_max);
// Names in a directory, one a line.
Finding list_directory(const std::string& path);

}  // namespace bulkhead::probe
