#include "opener/file_ops.h"

#include <cerrno>
#include <cstring>

#include "sys/directory.h"
#include "sys/open_beneath.h"
#include "sys/sealed.h"
#include "sys/stream_connect.h"

namespace bulkhead::opener {
namespace {

sys::LinkRule link_rule(ipc::SymlinkRule rule) {
  switch (rule) {
    case ipc::SymlinkRule::kOff:
      return sys::LinkRule::kOff;
    case ipc::SymlinkRule::kIfNotOwner:
      return sys::LinkRule::kIfNotOwner;
    case ipc::SymlinkRule::kOwned:
      break;
  }
  return sys::LinkRule::kOwned;
}

void open_file(const sys::PathQuery& query, FileAnswer& answer) {
  sys::Opened opened = sys::open_beneath(query);
  answer.reply.error = opened.error;
  if (opened.exists && S_ISREG(opened.st.st_mode)) answer.reply.type = ipc::FileType::kRegular;
  if (opened.exists && S_ISDIR(opened.st.st_mode)) answer.reply.type = ipc::FileType::kDirectory;
  answer.fd = std::move(opened.fd);
  if (opened.error != 0 && opened.nearest.valid()) {
    answer.fd = std::move(opened.nearest);
    answer.reply.fd_is_parent = 1;
  }
}

void append_entry(std::string& list, const sys::DirectoryItem& item) {
  ipc::ListEntry entry{};
  entry.size = item.size;
  entry.mtime = item.mtime;
  entry.is_dir = item.is_dir ? 1 : 0;
  entry.name_size = static_cast<uint16_t>(item.name.size());
  list.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  list.append(item.name);
}

int list_directory(const sys::PathQuery& query, sys::Fd& listing) {
  sys::Fd directory;
  int error = sys::open_directory(query, directory);
  if (error != 0) return error;
  std::string list;
  error = sys::read_directory(std::move(directory), [&list](const sys::DirectoryItem& item) {
    append_entry(list, item);
    return list.size() < kListBytesMax;
  });
  if (error != 0) return error;
  auto memfd = sys::create_sealed("listing", list);
  if (!memfd) return memfd.error().errno_value != 0 ? memfd.error().errno_value : EIO;
  listing = std::move(*memfd);
  return 0;
}

}  // namespace

FileAnswer answer_file_request(const ipc::FileRequest& request, std::string_view path) {
  FileAnswer answer;
  sys::PathQuery query{path, link_rule(request.rule), request.from_size};
  switch (request.op) {
    case ipc::FileOp::kOpen:
      open_file(query, answer);
      break;
    case ipc::FileOp::kList:
      answer.reply.error = list_directory(query, answer.fd);
      break;
    case ipc::FileOp::kSpool:
      answer.reply.error = sys::open_spool(query, answer.fd);
      break;
    case ipc::FileOp::kAppend:
      answer.reply.error = sys::open_append(query, answer.fd);
      break;
    case ipc::FileOp::kRealpath: {
      sys::Resolved at = sys::resolve_path(query);
      answer.reply.error = at.error;
      if (at.text.size() > ipc::kPathMax) answer.reply.error = ENAMETOOLONG;
      if (answer.reply.error == 0) answer.payload = std::move(at.text);
      break;
    }
    case ipc::FileOp::kConnect:
      answer.reply.error = sys::connect_unix(query, answer.fd);
      break;
    case ipc::FileOp::kSpawn:
      break;
  }
  bool file = request.op == ipc::FileOp::kList || request.op == ipc::FileOp::kSpool ||
              request.op == ipc::FileOp::kAppend;
  if (file && answer.reply.error != 0) answer.fd.reset();
  if (file && answer.reply.error == 0) answer.reply.type = ipc::FileType::kRegular;
  answer.reply.id = request.id;
  answer.reply.has_fd = answer.fd.valid() ? 1 : 0;
  answer.reply.payload_size = static_cast<uint32_t>(answer.payload.size());
  return answer;
}

}  // namespace bulkhead::opener
