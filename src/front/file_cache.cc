#include "front/file_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sys/stream_io.h"

namespace bulkhead::front {
namespace {

constexpr size_t kRealpathsMax = 256;
constexpr size_t kEvictionsMax = 16;  // to make room for one file's content

struct Key {
  uint32_t site;
  ipc::SymlinkRule rule;
  uint16_t from;
  std::string_view path;  // of the entry or question it names; of the caller when looking up
  friend bool operator==(const Key&, const Key&) = default;
};
struct KeyHash {
  size_t operator()(const Key& k) const {
    size_t mixed = k.site * 0x9E3779B97F4A7C15U + static_cast<size_t>(k.rule) * 31 + k.from;
    return std::hash<std::string_view>()(k.path) ^ mixed;
  }
};
Key key_of(const FileQuery& q) { return {q.site, q.rule, q.from_size, q.path}; }

// What must not have changed for an entry to be valid.
struct Stamp {
  uint64_t inode = 0, device = 0, links = 0, size = 0;
  timespec changed{}, modified{};
  uint32_t mode = 0, uid = 0, gid = 0;
};
bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}
bool equal(const Stamp& a, const Stamp& b) {
  return a.inode == b.inode && a.device == b.device && a.links == b.links && a.size == b.size &&
         same_time(a.changed, b.changed) && same_time(a.modified, b.modified) && a.mode == b.mode &&
         a.uid == b.uid && a.gid == b.gid;
}
Stamp stamp_of(const struct stat& st) {
  return {st.st_ino,  st.st_dev,  st.st_nlink, static_cast<uint64_t>(st.st_size),
          st.st_ctim, st.st_mtim, st.st_mode,  st.st_uid,
          st.st_gid};
}

// A directory that is there stays there whatever happens inside it.
Stamp existence_of(const struct stat& st) {
  Stamp stamp;
  stamp.inode = st.st_ino;
  stamp.device = st.st_dev;
  stamp.links = st.st_nlink != 0 ? 1 : 0;
  stamp.mode = st.st_mode;
  stamp.uid = st.st_uid;
  stamp.gid = st.st_gid;
  return stamp;
}

// True when the last change is so long ago that another one would show in the time stamps.
bool settled(const struct stat& st, std::chrono::milliseconds settle) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  // ctime: every change sets it, and nobody can set it to something else.
  const timespec& then = st.st_ctim;
  return (now.tv_sec - then.tv_sec) * 1000 + (now.tv_nsec - then.tv_nsec) / 1'000'000 >
         settle.count();
}

void fill(OpenFile& file, const struct stat& st) {
  file.size = static_cast<uint64_t>(st.st_size);
  file.mtime = st.st_mtim.tv_sec;
  file.mtime_ns = static_cast<uint32_t>(st.st_mtim.tv_nsec);
  file.inode = st.st_ino;
  file.device = st.st_dev;
  file.mode = st.st_mode;
  file.executable = (st.st_mode & 0111) != 0;
}

}  // namespace

struct FileCache::Impl {
  enum class Kind : uint8_t { kFile, kDirectory, kMiss };
  struct Entry {
    std::string path;
    Key key;  // its path is the string above
    Kind kind;
    std::shared_ptr<OpenFile> file;
    sys::Fd validator;  // directory or a miss's nearest directory; a file is its own
    Stamp stamp;
    loop::Clock::time_point opened;
    // The turn it was last found valid in: what arrived with the same events saw the same file.
    loop::Clock::time_point checked{};
  };
  using Entries = std::list<Entry>;  // most recently used first
  // Waiters keep pointers to their element of `waiters`.
  struct Question {
    std::string path;
    std::list<FileWaiter*> waiters;
    FileTicket ticket;
  };
  struct Realpath {
    std::string path, text;
    int error;
    loop::Clock::time_point asked;
  };

  Impl(loop::EventLoop& l, SiteClient& s, Limits lim) : loop(l), sites(s), limits(lim) {}

  bool valid(Entry& entry) const;
  void erase(Entries::iterator it);
  void answered(Key key, FileResult&& result);
  std::shared_ptr<OpenFile> keep(Key key, FileResult&& result);
  void insert(Key key, Entry&& entry);
  void load_content(OpenFile& file, const struct stat& st);
  uint64_t ask_one(FileWaiter& waiter);
  template <class Call>
  static void answer(Question& question, Call call);

  loop::EventLoop& loop;
  SiteClient& sites;
  Limits limits;
  Entries entries;
  std::unordered_map<Key, Entries::iterator, KeyHash> index;
  std::unordered_map<Key, std::unique_ptr<Question>, KeyHash> opening;  // keys view Question::path
  std::unordered_map<uint64_t, std::unique_ptr<Question>> others;       // list and realpath
  std::unordered_map<Key, std::unique_ptr<Realpath>, KeyHash> realpaths;
  uint64_t next_other = 1;
  size_t content_bytes = 0;
  uint64_t hit_count = 0, open_count = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // for deferred answers
};

FileCache::FileCache(loop::EventLoop& loop, SiteClient& sites) : FileCache(loop, sites, Limits()) {}
FileCache::FileCache(loop::EventLoop& loop, SiteClient& sites, Limits limits)
    : impl_(std::make_unique<Impl>(loop, sites, limits)) {}

FileCache::~FileCache() {
  // Waiters that outlive us must not point into our questions.
  auto forget = [](Impl::Question& question) {
    for (FileWaiter* waiter : question.waiters) {
      if (waiter != nullptr) waiter->pending_ = nullptr;
    }
  };
  for (auto& [key, question] : impl_->opening) forget(*question);
  for (auto& [id, question] : impl_->others) forget(*question);
}

bool FileCache::Impl::valid(Entry& entry) const {
  if (loop.now() - entry.opened >= limits.reopen_after) return false;
  if (entry.checked == loop.now()) return true;
  const sys::Fd& fd = entry.kind == Kind::kFile ? entry.file->fd : entry.validator;
  struct stat st {};
  if (::fstat(fd.get(), &st) < 0) return false;
  if (!equal(entry.kind == Kind::kDirectory ? existence_of(st) : stamp_of(st), entry.stamp)) {
    return false;
  }
  entry.checked = loop.now();
  return true;
}

void FileCache::Impl::erase(Entries::iterator it) {
  content_bytes -= it->file->content.size();
  index.erase(it->key);
  entries.erase(it);
}

FileRef FileCache::find(const FileQuery& query) {
  auto it = impl_->index.find(key_of(query));
  if (it == impl_->index.end() || !impl_->valid(*it->second)) return nullptr;
  impl_->entries.splice(impl_->entries.begin(), impl_->entries, it->second);
  ++impl_->hit_count;
  return it->second->file;
}

FileRef FileCache::open(const FileQuery& query, FileWaiter& waiter) {
  if (FileRef file = find(query)) return file;
  waiter.cancel();
  Key key = key_of(query);
  auto it = impl_->opening.find(key);
  if (it == impl_->opening.end()) {
    auto question = std::make_unique<Impl::Question>();
    question->path = query.path;
    key.path = question->path;
    ++impl_->open_count;
    question->ticket = impl_->sites.open_file(
        query.site, query.path, query.rule, query.from_size,
        [impl = impl_.get(), key](FileResult&& r) { impl->answered(key, std::move(r)); });
    it = impl_->opening.emplace(key, std::move(question)).first;
  }
  std::list<FileWaiter*>& waiters = it->second->waiters;
  waiters.push_back(&waiter);
  waiter.pending_ = &waiters.back();
  return nullptr;
}

template <class Call>
void FileCache::Impl::answer(Question& question, Call call) {
  // A waiter may destroy others: their places are then null.
  for (FileWaiter*& place : question.waiters) {
    FileWaiter* waiter = place;
    if (waiter == nullptr) continue;
    waiter->pending_ = nullptr;
    place = nullptr;
    call(*waiter);
  }
}

void FileCache::Impl::answered(Key key, FileResult&& result) {
  auto node = opening.extract(key);
  if (node.empty()) return;
  FileRef file = keep(key, std::move(result));
  answer(*node.mapped(), [&file](FileWaiter& waiter) { waiter.on_file(file); });
}

// Turns an answer into a file, and keeps it if it can be validated later.
std::shared_ptr<OpenFile> FileCache::Impl::keep(Key key, FileResult&& result) {
  auto file = std::make_shared<OpenFile>();
  file->error = result.error;
  file->type = result.type;
  file->exists = result.type != ipc::FileType::kNone;
  file->is_dir = result.type == ipc::FileType::kDirectory;

  auto old = index.find(key);
  struct stat st {};
  Entry entry{.kind = Kind::kFile, .opened = loop.now()};
  bool keep = result.fd.valid() && ::fstat(result.fd.get(), &st) == 0;
  if (keep && result.error == 0) {
    fill(*file, st);
    entry.stamp = file->is_dir ? existence_of(st) : stamp_of(st);
    entry.kind = file->is_dir ? Kind::kDirectory : Kind::kFile;
  } else if (keep && result.fd_is_parent) {
    entry.stamp = stamp_of(st);
    entry.kind = Kind::kMiss;
    keep = settled(st, limits.settle);
  } else {
    keep = false;
  }
  if (old != index.end() && keep && entry.kind == Kind::kFile && old->second->kind == Kind::kFile &&
      equal(old->second->stamp, entry.stamp)) {
    bool complete = old->second->file->has_content || file->size > limits.content_bytes_max;
    if (complete) {
      old->second->opened = entry.opened;
      return old->second->file;
    }
  }
  if (old != index.end()) erase(old->second);
  if (entry.kind == Kind::kFile && result.error == 0) {
    file->fd = std::move(result.fd);
    if (keep) load_content(*file, st);
  } else {
    entry.validator = std::move(result.fd);
  }
  entry.file = file;
  if (keep) insert(key, std::move(entry));
  return file;
}

void FileCache::Impl::load_content(OpenFile& file, const struct stat& st) {
  if (file.size > limits.content_bytes_max || !settled(st, limits.settle)) return;
  for (size_t n = 0; n < kEvictionsMax && !entries.empty(); ++n) {
    if (content_bytes + file.size <= limits.contents_bytes_max) break;
    erase(std::prev(entries.end()));
  }
  if (content_bytes + file.size > limits.contents_bytes_max) return;
  file.content.resize(file.size);
  sys::Moved read = sys::read_file(file.fd, file.content.data(), file.content.size(), 0);
  file.has_content = read.ok() && read.bytes == file.size;
  if (!file.has_content) file.content.clear();
}

void FileCache::Impl::insert(Key key, Entry&& entry) {
  while (entries.size() >= limits.entries_max && !entries.empty()) {
    erase(std::prev(entries.end()));
  }
  content_bytes += entry.file->content.size();
  entries.push_front(std::move(entry));
  Entry& kept = entries.front();
  kept.path = key.path;
  kept.key = key;
  kept.key.path = kept.path;
  index.emplace(kept.key, entries.begin());
}

uint64_t FileCache::Impl::ask_one(FileWaiter& waiter) {
  waiter.cancel();
  uint64_t id = next_other++;
  auto question = std::make_unique<Question>();
  question->waiters.push_back(&waiter);
  waiter.pending_ = &question->waiters.back();
  others.emplace(id, std::move(question));
  return id;
}

void FileCache::list(const FileQuery& query, FileWaiter& waiter) {
  Impl* impl = impl_.get();
  uint64_t id = impl->ask_one(waiter);
  impl->others[id]->ticket = impl->sites.list(
      query.site, query.path, query.rule, query.from_size, [impl, id](FileResult&& result) {
        auto node = impl->others.extract(id);
        if (node.empty()) return;
        auto file = std::make_shared<OpenFile>();
        file->error = result.error;
        file->fd = std::move(result.fd);
        struct stat st {};
        if (file->fd.valid() && ::fstat(file->fd.get(), &st) == 0) fill(*file, st);
        file->exists = file->error == 0;
        file->type = file->exists ? ipc::FileType::kRegular : ipc::FileType::kNone;
        Impl::answer(*node.mapped(), [&file](FileWaiter& w) { w.on_file(file); });
      });
}

void FileCache::realpath(const FileQuery& query, FileWaiter& waiter) {
  Impl* impl = impl_.get();
  uint64_t id = impl->ask_one(waiter);
  auto finish = [impl, id](std::string_view text, int error) {
    auto node = impl->others.extract(id);
    if (node.empty()) return;
    Impl::answer(*node.mapped(), [&](FileWaiter& w) { w.on_realpath(text, error); });
  };
  auto known = impl->realpaths.find(key_of(query));
  if (known != impl->realpaths.end()) {
    if (impl->loop.now() - known->second->asked < impl->limits.reopen_after) {
      // Never from inside the call.
      impl->loop.defer([finish, alive = std::weak_ptr<bool>(impl->alive),
                        text = known->second->text, error = known->second->error] {
        if (!alive.expired()) finish(text, error);
      });
      return;
    }
    impl->realpaths.erase(known);
  }
  Key key = key_of(query);
  impl->others[id]->ticket = impl->sites.realpath(
      query.site, query.path,
      [impl, finish, key, path = std::string(query.path)](FileResult&& result) mutable {
        if (impl->realpaths.size() >= kRealpathsMax) impl->realpaths.clear();
        auto kept = std::make_unique<Impl::Realpath>();
        kept->path = std::move(path);
        kept->text = result.payload;
        kept->error = result.error;
        kept->asked = impl->loop.now();
        key.path = kept->path;
        impl->realpaths.erase(key);
        impl->realpaths.emplace(key, std::move(kept));
        finish(result.payload, result.error);
      });
}

void FileCache::clear() {
  impl_->index.clear();
  impl_->entries.clear();
  impl_->content_bytes = 0;
  impl_->realpaths.clear();
}

size_t FileCache::entries() const { return impl_->entries.size(); }
uint64_t FileCache::hits() const { return impl_->hit_count; }
uint64_t FileCache::opens() const { return impl_->open_count; }

}  // namespace bulkhead::front
