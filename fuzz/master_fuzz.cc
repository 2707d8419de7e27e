// Links: bulkhead_master
// Master's side of its channels, with front, a zygote and two pools that say whatever they like.
//
// Input: records of 4 bytes and then a text: who speaks (1), how (1), operation (1), size (1).
// "How" says whether the header is as the table wants it, lies, or is missing, how many descriptors
// come along, and whether the phase changes.  What passes the table reaches the real Sites.
// A sender outside the table must lose its channel; nothing else may happen to master.
#include <fcntl.h>
#include <sys/eventfd.h>

#include <cstdlib>
#include <cstring>
#include <optional>

#include "ipc/channel.h"
#include "master/site_requests.h"
#include "sys/files.h"
#include "sys/message.h"
#include "sys/sockets.h"

using namespace bulkhead;
using namespace bulkhead::master;

namespace {

constexpr uint32_t kPools = 2, kFront = 1, kZygote = 1;

Loaded two_pools() {
  Loaded loaded;
  loaded.fpm.emplace();
  for (uint32_t i = 1; i <= kPools; ++i) {
    config::PoolConfig pool;
    pool.name = std::string(1, static_cast<char>('a' + i - 1));
    pool.user = "nobody";
    pool.pm = i == 1 ? config::Pm::kOndemand : config::Pm::kStatic;
    pool.max_children = 2;
    loaded.pool_by_name[pool.name] = i - 1;
    config::Site site;
    site.id = i;
    site.name = pool.name;
    site.user = pool.user;
    site.has_pool = true;
    loaded.snapshot.sites.push_back(std::move(site));
    loaded.fpm->pools.push_back(std::move(pool));
  }
  return loaded;
}

// One sender: master's end on the loop, the sender's end in our hand.
struct Line {
  std::unique_ptr<ipc::Channel> channel;
  sys::Fd sender;
  bool violated = false;

  void open(loop::EventLoop& loop, ipc::Role role, ipc::Channel::OnMessage on_message) {
    auto pair = sys::seqpacket_pair();
    if (!pair) std::abort();
    sender = std::move(pair->second);
    channel = std::move(*ipc::Channel::create(
        loop, std::move(pair->first), role, ipc::Phase::kStarting, std::move(on_message),
        [this](const std::string& what) { violated = violated || !what.empty(); }));
  }
};

struct World {
  std::unique_ptr<loop::EventLoop> loop;
  Reaper reaper;
  Log log;
  sys::Fd null;
  std::unique_ptr<Shares> shares;  // never opened: no groups, which messages do not reach anyway
  std::unique_ptr<Sites> sites;
  Line front, zygote;
  std::vector<sys::Fd> pools;  // the pools' ends of their channels, as the zygote was given them
  std::vector<ipc::ForkBody> forks;

  World() : loop(std::move(*loop::EventLoop::create())) {
    null.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    log.set_nginx({{null, LogLevel::kDebug}});
    Log::FpmSink sink;
    sink.fd = std::move(*sys::duplicate(null));
    log.set_fpm(std::move(sink), "", "");
    shares = std::make_unique<Shares>(*loop, [](const std::string&) {});
    sites = std::make_unique<Sites>(Sites::Wiring{
        *loop, reaper, log, Kind::kServe,
        [](uint32_t, ipc::Op, std::string_view, std::span<const sys::FdRef>) { return true; },
        [this](const std::string&, ipc::Op, std::string_view body,
               std::span<const sys::FdRef> fds) { return take_fork(body, fds); },
        [] {}, *shares});
    sites->use_front(kFront, 1);
    sites->configure(two_pools());
    auto serve = [this](uint32_t number) {
      return [this, number](ipc::Op op, std::string_view payload, std::vector<sys::Fd>& fds) {
        (void)take_site_request(*sites, number, op, payload, fds);
      };
    };
    front.open(*loop, ipc::Role::kFront, serve(kFront));
    zygote.open(*loop, ipc::Role::kZygote, serve(0));
    sites->start_eager();
  }
  ~World() {
    sites->kill_all();
    settle();
  }
  uint32_t take_fork(std::string_view body, std::span<const sys::FdRef> fds) {
    if (fds.size() < 2) std::abort();
    forks.push_back(*ipc::read_body<ipc::ForkBody>(body));
    pools.push_back(std::move(*sys::duplicate(fds[1])));
    return kZygote;
  }
  void settle() {
    for (int i = 0; i < 4; ++i) loop->run_once(loop::Millis(0));
  }
};

struct Record {
  uint8_t who, how, op, size;
};
enum How : uint8_t { kHonest = 0, kLiesAboutSize = 1, kLiesAboutFds = 2, kRaw = 3 };

// Half of all ids exist: else hardly anything would reach further than the first look-up.
void make_likely(const World& world, const Record& record, std::string& payload) {
  if ((record.how & 0x40) == 0 || payload.size() < 8 || world.forks.empty()) return;
  const ipc::ForkBody& fork = world.forks[record.size % world.forks.size()];
  std::memcpy(payload.data(), &fork.site, 4);
  std::memcpy(payload.data() + 4, &fork.epoch, 4);
}

void say(World& world, sys::FdRef sender, const Record& record, std::string payload) {
  std::span<const ipc::Rule> rules = ipc::rules();
  const ipc::Rule& rule = rules[record.op % rules.size()];
  int how = record.how & 3;
  if (how == kHonest)
    payload.resize(std::clamp<size_t>(payload.size(), rule.bytes_min, rule.bytes_max));
  make_likely(world, record, payload);
  size_t count = how == kHonest ? rule.fds_min : (record.how >> 2) % 4;
  std::vector<sys::Fd> owned;
  for (size_t i = 0; i < std::min<size_t>(count, 4); ++i)
    owned.emplace_back(::eventfd(0, EFD_CLOEXEC));
  std::vector<sys::FdRef> fds(owned.begin(), owned.end());
  ipc::Header header{static_cast<uint16_t>(rule.op), static_cast<uint16_t>(fds.size()),
                     static_cast<uint32_t>(payload.size())};
  if (how == kLiesAboutSize) header.size += record.size;
  if (how == kLiesAboutFds) header.fds = static_cast<uint16_t>(header.fds + 1 + record.size);
  std::string_view head(reinterpret_cast<const char*>(&header), how == kRaw ? 0 : sizeof header);
  (void)sys::send_message(sender, head, payload, fds);
}

sys::FdRef sender_of(World& world, uint8_t who) {
  if (who % 4 == 0) return world.front.sender;
  if (who % 4 == 1) return world.zygote.sender;
  return world.pools.empty() ? world.front.sender : world.pools[who % world.pools.size()].ref();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World world;
  while (size >= sizeof(Record)) {
    Record record;
    std::memcpy(&record, data, sizeof record);
    data += sizeof record, size -= sizeof record;
    size_t bytes = std::min<size_t>(record.size, size);
    std::string payload(reinterpret_cast<const char*>(data), bytes);
    data += bytes, size -= bytes;
    if ((record.how & 0x80) != 0) {
      auto phase = static_cast<ipc::Phase>(record.op % 3);
      for (Line* line : {&world.front, &world.zygote}) line->channel->set_phase(phase);
    }
    say(world, sender_of(world, record.who), record, std::move(payload));
    world.settle();
    // A zygote or a front that broke the table is started again, as master does.
    if (world.front.violated) world.sites->front_ended(kFront);
    if (world.zygote.violated) world.sites->zygote_lost(kZygote);
    if (world.front.violated || world.zygote.violated) break;
    if (world.pools.size() > 64) break;
  }
  return 0;
}
