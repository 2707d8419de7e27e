// What a run has made outside its own memory, written down before it is made, so that whoever comes
// next can take it away: the run itself, its parent after Ctrl-C, or the next run after a kill -9.
//
// Runs in: bulkhead-verify (root).  Input: the record, in a directory only root may enter.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "sys/users.h"

namespace bulkhead::verify {

constexpr const char* kRunsDirectory = "/var/lib/bulkhead-verify";

class Record {
 public:
  // A new directory below kRunsDirectory with an empty record of this process.
  static Result<Record> create();
  // Opens a run by its directory.
  explicit Record(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] const std::string& directory() const { return directory_; }

  Status note_user(const std::string& name);
  Status note_process(pid_t pid);
  // A file or directory that `user` is about to get in a directory of his own.
  Status note_file(const std::string& user, const std::string& path);
  // A request to a site on 127.0.0.1 that has its script take evidence away.
  Status note_request(uint16_t port, const std::string& host, const std::string& token,
                      const std::string& target);

  // Makes the requests and removes the files, newest first, and forgets both.
  Status remove_planted();
  // All of that; then ends the processes, removes the users and the directory.  Says what could not
  // be done.
  Status remove();

 private:
  Status note(const std::string& line);
  [[nodiscard]] std::string path() const;
  std::string directory_;
};

// Removes runs whose process is gone.  Returns how many there were.
Result<int> remove_leftovers();

// Ends every process of a user that verify made.
void end_processes_of(uid_t uid);

}  // namespace bulkhead::verify
