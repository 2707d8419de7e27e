// The victim: keeps one piece of evidence in every place an attacker could look, proves to itself
// that it is there, and takes all of it away when its input ends.
//
// Runs in: bulkhead-probe, inside the victim's sandbox, as the victim's user.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <vector>

#include "probe/probe.h"

namespace bulkhead::probe {
namespace {

volatile sig_atomic_t g_signals = 0;
void count_signal(int) { g_signals = g_signals + 1; }

class Evidence {
 public:
  explicit Evidence(const Facts& facts) : facts_(facts) {}
  ~Evidence() {
    for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) (*it)();
  }
  Evidence(const Evidence&) = delete;
  Evidence& operator=(const Evidence&) = delete;

  void plant();
  [[nodiscard]] std::string report() const;
  // The sockets that hand their marker to whoever connects.
  struct Server {
    int fd;
    std::string marker;
  };
  [[nodiscard]] const std::vector<Server>& servers() const { return servers_; }

 private:
  // What lies under `key` to be found, or why it cannot be planted.
  void planted(std::string key) { planted_.push_back(std::move(key)); }
  void failed(const std::string& key, const std::string& what) {
    failed_.emplace_back(key, what + ": " + std::strerror(errno));
  }
  void plant_file(const std::string& key, const std::string& path);
  void plant_memory();
  void plant_sysv();
  void plant_queue();
  void plant_socket(const std::string& key, std::string name);
  [[nodiscard]] const std::string& marker(std::string_view key) const {
    return facts_["marker." + std::string(key)];
  }

  const Facts& facts_;
  std::vector<std::function<void()>> undo_;
  std::vector<std::string> planted_;
  std::vector<std::pair<std::string, std::string>> failed_;
  std::vector<std::pair<std::string, std::string>> places_;
  std::vector<Server> servers_;
  std::string memory_;
};

void Evidence::plant_file(const std::string& key, const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return failed(key, "create " + path);
  undo_.emplace_back([path] { ::unlink(path.c_str()); });
  ::fchmod(fd, 0666);
  const std::string& text = marker(key);
  bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (written && read_path(path).got == text) return planted(key);
  failed(key, "write " + path);
}

void Evidence::plant_memory() {
  memory_ = marker("memory");
  places_.emplace_back("victim_address",
                       std::to_string(reinterpret_cast<uintptr_t>(memory_.data())));
  planted("memory");
  planted("cmdline");  // verify put it into our arguments
  if (const char* text = ::getenv("BHV_EVIDENCE")) {
    if (text == marker("environ")) planted("environ");
  }
  const std::string path = facts_["own_root"] + "/" + facts_["tag"] + ".fd";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed("fd", "create " + path);
  ::unlink(path.c_str());
  const std::string& text = marker("fd");
  if (::write(fd, text.data(), text.size()) < 0) return failed("fd", "write " + path);
  ::lseek(fd, 0, SEEK_SET);
  places_.emplace_back("victim_fd", std::to_string(fd));
  planted("fd");
}

struct Message {
  long type;
  char text[256];
};
void Evidence::plant_sysv() {
  auto key = static_cast<key_t>(facts_.number("ipc_key"));
  int shm = ::shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
  if (shm >= 0) {
    undo_.emplace_back([shm] { ::shmctl(shm, IPC_RMID, nullptr); });
    void* at = ::shmat(shm, nullptr, 0);
    if (at != reinterpret_cast<void*>(-1)) {
      std::strncpy(static_cast<char*>(at), marker("shm").c_str(), 4095);
      planted("shm");
    }
  } else {
    failed("shm", "shmget");
  }
  int msg = ::msgget(key, IPC_CREAT | IPC_EXCL | 0666);
  if (msg >= 0) {
    undo_.emplace_back([msg] { ::msgctl(msg, IPC_RMID, nullptr); });
    Message message{1, {}};
    std::strncpy(message.text, marker("msg").c_str(), sizeof message.text - 1);
    if (::msgsnd(msg, &message, marker("msg").size(), IPC_NOWAIT) == 0) planted("msg");
  } else {
    failed("msg", "msgget");
  }
  int sem = ::semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
  if (sem >= 0) {
    undo_.emplace_back([sem] { ::semctl(sem, 0, IPC_RMID); });
    int value = std::atoi(marker("sem").c_str() + sizeof("semaphore=") - 1);
    if (::semctl(sem, 0, SETVAL, value) == 0) planted("sem");
  } else {
    failed("sem", "semget");
  }
}

void Evidence::plant_queue() {
  const std::string name = "/" + facts_["tag"];
  mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666, nullptr);
  if (queue < 0) return failed("mq", "mq_open");
  undo_.emplace_back([name] { ::mq_unlink(name.c_str()); });
  mode_t old = ::umask(0);
  ::fchmod(queue, 0666);
  ::umask(old);
  const std::string& text = marker("mq");
  if (::mq_send(queue, text.data(), text.size(), 0) == 0) return planted("mq");
  failed("mq", "mq_send");
}

void Evidence::plant_socket(const std::string& key, std::string name) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(key, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
  bool is_abstract = name.starts_with('@');
  if (is_abstract) address.sun_path[0] = '\0';
  auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : 1));
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) return failed(key, "bind");
  if (!is_abstract) {
    ::chmod(name.c_str(), 0666);
    undo_.emplace_back([name] { ::unlink(name.c_str()); });
  }
  if (::listen(fd, 8) != 0) return failed(key, "listen");
  // Its own side of the proof: the socket can be reached from where the victim is.
  int own = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int reached = ::connect(own, reinterpret_cast<sockaddr*>(&address), length);
  if (reached != 0) return failed(key, "connect to its own socket");
  ::close(own);
  ::close(::accept(fd, nullptr, nullptr));
  servers_.push_back({fd, marker(key)});
  planted(key);
}

void Evidence::plant() {
  ::umask(0);
  struct sigaction action {};
  action.sa_handler = count_signal;
  ::sigaction(SIGURG, &action, nullptr);
  planted("signal");
  plant_file("tmp", "/tmp/" + facts_["tag"]);
  plant_file("var_tmp", "/var/tmp/" + facts_["tag"]);
  plant_file("dev_shm", "/dev/shm/" + facts_["tag"]);
  plant_memory();
  plant_sysv();
  plant_queue();
  plant_socket("abstract", "@" + facts_["tag"]);
  const std::string dir = facts_["socket_dir"].empty() ? "/tmp" : facts_["socket_dir"];
  plant_socket("path_socket", dir + "/" + facts_["tag"] + ".sock");
  places_.emplace_back("path_socket", dir + "/" + facts_["tag"] + ".sock");
}

std::string Evidence::report() const {
  std::string out = "{\"pid\":" + std::to_string(::getpid()) + ",\"planted\":[";
  for (const std::string& key : planted_) out += (out.back() == '[' ? "" : ",") + json_text(key);
  out += "],\"failed\":{";
  for (const auto& [key, why] : failed_) {
    out += (out.back() == '{' ? "" : ",") + json_text(key) + ":" + json_text(why);
  }
  out += "},\"places\":{";
  for (const auto& [key, place] : places_) {
    out += (out.back() == '{' ? "" : ",") + json_text(key) + ":" + json_text(place);
  }
  return out + "}}\n";
}

// One question of verify: what the victim sees from his side.
std::string answer(const std::string& line, const Facts& facts) {
  if (line == "check signals") return "{\"value\":" + std::to_string(g_signals) + "}\n";
  if (line == "check lock") {
    int fd = ::open(facts["public"].c_str(), O_RDONLY | O_CLOEXEC);
    bool free = fd >= 0 && ::flock(fd, LOCK_SH | LOCK_NB) == 0;
    if (fd >= 0) ::close(fd);
    return std::string("{\"value\":") + (free ? "0" : "1") + "}\n";
  }
  if (line == "check write") {  // the temporary file that the attacker may have put a link for
    const std::string path = "/tmp/" + facts["tag"] + ".out";
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string& text = facts["marker.bait"];
    bool written = fd >= 0 && ::write(fd, text.data(), text.size()) > 0;
    if (fd >= 0) ::close(fd);
    ::unlink(path.c_str());
    return std::string("{\"value\":") + (written ? "1" : "0") + "}\n";
  }
  if (line == "check squat") {  // connects to its own service, which is not up yet
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "/tmp/" + facts["tag"] + ".squat";
    std::memcpy(address.sun_path, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
    bool found = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const std::string& text = facts["marker.squat"];
    if (found) ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    ::close(fd);
    return std::string("{\"value\":") + (found ? "1" : "0") + "}\n";
  }
  return "{\"value\":-1}\n";
}

void hand_out(const Evidence::Server& server) {
  int peer = ::accept4(server.fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (peer < 0) return;
  ::send(peer, server.marker.data(), server.marker.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(peer);
}

}  // namespace

int victim() {
  ::signal(SIGPIPE, SIG_IGN);
  Facts facts;
  std::string line;
  while (read_line(&line) && line != "end") {
    size_t space = line.find(' ', 5);
    if (line.starts_with("fact ") && space != std::string::npos) {
      facts.set(line.substr(5, space - 5), line.substr(space + 1));
    }
  }
  Evidence evidence(facts);
  evidence.plant();
  write_out(evidence.report());
  for (;;) {
    std::vector<pollfd> waits{{0, POLLIN, 0}};
    for (const auto& server : evidence.servers()) waits.push_back({server.fd, POLLIN, 0});
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    for (size_t i = 0; i < evidence.servers().size(); ++i) {
      if (waits[i + 1].revents != 0) hand_out(evidence.servers()[i]);
    }
    if (waits[0].revents == 0) continue;
    if (!read_line(&line)) return 0;
    write_out(answer(line, facts));
  }
}

}  // namespace bulkhead::probe
