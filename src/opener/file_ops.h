// What each FileOp does.
//
// Runs in: a site's pool and bulkhead-files, as the site's user.
// Input: a request whose sizes have been checked; the site's file system.
#pragma once

#include <string>
#include <string_view>

#include "ipc/site_channel.h"
#include "sys/fd.h"

namespace bulkhead::opener {

constexpr size_t kListBytesMax = 2 * 1024 * 1024;  // of one listing; more entries are left out

struct FileAnswer {
  ipc::FileReply reply{};
  sys::Fd fd;
  std::string payload;
};
// Answers one question (not kSpawn).
FileAnswer answer_file_request(const ipc::FileRequest& request, std::string_view path);

}  // namespace bulkhead::opener
