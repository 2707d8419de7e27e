// Group D4 and D8: memory, queues, semaphores and keys that the kernel keeps by number or name.
//
// Runs in: bulkhead-probe, as the attacking site.  Ref: sysvipc(7), mq_overview(7), keyrings(7).
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

Finding shared_memory(const Facts& f) {
  int id = ::shmget(static_cast<key_t>(f.number("ipc_key")), 0, 0);
  if (id < 0) return refused("shmget");
  void* at = ::shmat(id, nullptr, SHM_RDONLY);
  if (at == reinterpret_cast<void*>(-1)) return refused("shmat");
  std::string got(static_cast<const char*>(at), 128);
  ::shmdt(at);
  return obtained(got);
}

struct Message {
  long type;
  char text[256];
};
Finding message_queue(const Facts& f) {
  int id = ::msgget(static_cast<key_t>(f.number("ipc_key")), 0);
  if (id < 0) return refused("msgget");
  Message message{};
  ssize_t n = ::msgrcv(id, &message, sizeof message.text, 0, IPC_NOWAIT);
  if (n < 0) return refused("msgrcv");
  return obtained(std::string(message.text, static_cast<size_t>(n)));
}

// The neighbour's semaphore holds a number as evidence.
Finding semaphore(const Facts& f) {
  int id = ::semget(static_cast<key_t>(f.number("ipc_key")), 0, 0);
  if (id < 0) return refused("semget");
  int value = ::semctl(id, 0, GETVAL);
  if (value < 0) return refused("semctl");
  return obtained("semaphore=" + std::to_string(value) + ".");
}

Finding posix_queue(const Facts& f) {
  mqd_t queue = ::mq_open(("/" + f["tag"]).c_str(), O_RDONLY | O_NONBLOCK);
  if (queue < 0) return refused("mq_open /" + f["tag"]);
  char bytes[8192];
  ssize_t n = ::mq_receive(queue, bytes, sizeof bytes, nullptr);
  if (n < 0) return refused("mq_receive");
  return obtained(std::string(bytes, static_cast<size_t>(n)));
}

Finding ipc_listing(const Facts&) { return read_path("/proc/sysvipc/shm"); }

Finding session_key(const Facts& f) {
  long key = ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
                       f["key_name"].c_str(), 0);
  if (key < 0) return refused("keyctl search");
  char bytes[256];
  long n = ::syscall(SYS_keyctl, KEYCTL_READ, key, bytes, sizeof bytes);
  if (n < 0) return refused("keyctl read");
  return obtained(std::string(bytes, static_cast<size_t>(n)));
}

constexpr Row kRows[] = {
    {"D4", shared_memory}, {"D4b", message_queue}, {"D4c", semaphore},
    {"D4d", posix_queue},  {"D4e", ipc_listing},   {"D8", session_key},
};

}  // namespace

std::span<const Row> ipc_attacks() { return kRows; }

}  // namespace bulkhead::probe
