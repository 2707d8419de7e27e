#include "verify/table.h"

#include <iterator>
#include <utility>

namespace bulkhead::verify {
namespace {

using enum How;
constexpr std::string_view kSocketNames =
    "sites share the machine's network; names are seen, the sockets cannot be reached "
    "(SECURITY.md)";
constexpr std::string_view kNetwork =
    "sites share the machine's network by design: TCP on loopback is open to all (SECURITY.md)";

// clang-format off
constexpr Probe kRows[] = {
    {"A1",   "read a world-readable configuration file of the neighbour",      kNative, "public",   "view landlock", ""},
    {"A1b",  "read a file of the neighbour that only he may read",             kNative, "secret",   "view uid landlock", ""},
    {"A1c",  "leave a file in a world-writable directory of the neighbour",    kStaged, "",         "view landlock", ""},
    {"A2",   "learn the neighbour's user name from /etc/passwd",               kNative, "user",     "view", ""},
    {"A2b",  "see the neighbour's directory beside one's own",                 kNative, "dirname",  "view landlock", ""},
    {"A2c",  "see the neighbour's directory in the mount table",               kNative, "dirname",  "view", ""},
    {"A2d",  "read the neighbour's access log",                                kNative, "log",      "view uid landlock", ""},
    {"A2e",  "read the server's configuration, with every site in it",         kNative, "dirname",  "view uid landlock", ""},
    {"A3",   "have the web server follow a link to the neighbour's file",      kStaged, "secret",   "links", ""},
    {"A3b",  "... a link to the neighbour's directory",                        kStaged, "public",   "links", ""},
    {"A3c",  "... a link to the neighbour's directory, listed by autoindex",   kStaged, "tag",      "links", ""},
    {"A4",   "swap a file for such a link while it is being served",           kStaged, "secret",   "links", ""},
    {"A5",   "make a hard link to the neighbour's file",                       kNative, "",         "view kernel landlock", ""},
    {"A5b",  "have /proc/self/root, cwd and fd links served",                  kStaged, "secret",   "links", ""},
    {"A5c",  "reach the neighbour's file through /proc/PID/root",              kNative, "public",   "view pid uid landlock", ""},
    {"A6",   "leave one's web root by dots, encodings and double slashes",     kStaged, "secret",   "front", ""},
    {"A7",   "run an uploaded picture as PHP (x.jpg/y.php and relatives)",     kStaged, "run",      "front php", ""},
    {"A8",   "get PHP source by names that are nearly .php",                   kStaged, "secret",   "front", ""},
    {"A9",   "read the neighbour's file in /tmp",                              kNative, "tmp",      "view landlock", ""},
    {"A9b",  "read the neighbour's file in /var/tmp",                          kNative, "var_tmp",  "view landlock", ""},
    {"A9c",  "read the neighbour's file in /dev/shm",                          kNative, "dev_shm",  "view landlock", ""},
    {"A9d",  "list the neighbour's sessions and take one over",                kNative, "session",  "view uid landlock", ""},
    {"A9e",  "watch when a session of the neighbour is used",                  kNative, "inode",    "view uid landlock", ""},
    {"A9f",  "read what a session of the neighbour holds",                     kNative, "session_data", "view uid landlock", ""},
    {"A9g",  "catch the neighbour's temporary file by a planted link",         kStaged, "bait",     "view kernel", ""},
    {"A10",  "read a request body of the neighbour in the server's files",     kNative, "body",     "view uid landlock", ""},
    {"A11",  "swap one's log for a link, so that root writes elsewhere",       kStaged, "",         "links", ""},
    {"A12",  "trick a root command of ours by links in one's own tree",        kNever,  "",         "", "no command of Bulkhead works as root inside a site's tree yet"},
    {"A13",  "leave an ACME token for the neighbour's domain",                 kNever,  "",         "", "this version answers no ACME challenges"},
    {"A14",  "name the neighbour's file in X-Accel-Redirect",                  kStaged, "public",   "front links", ""},
    {"A15",  "plant a .user.ini above the sites",                              kNative, "",         "view uid landlock", ""},

    {"B1",   "include the neighbour's file because the cache holds it",        kPhp,    "secret",   "engine view uid", ""},
    {"B2",   "find the neighbour's code in opcache's memory",                  kPhp,    "secret",   "engine", ""},
    {"B3",   "change the neighbour's code in opcache's memory",                kStaged, "",         "engine", ""},
    {"B4",   "list the neighbour's scripts with opcache_get_status()",         kPhp,    "path",     "engine", ""},
    {"B4b",  "drop the neighbour's script with opcache_invalidate()",          kStaged, "",         "engine view", ""},
    {"B5",   "meet the neighbour's cache entry under a path inside a chroot",  kNever,  "",         "", "no two sites here have a chroot"},
    {"B6",   "poison the neighbour's opcache.file_cache",                      kNever,  "",         "", "opcache.file_cache is not set"},
    {"B7",   "stop the neighbour by holding opcache's lock",                   kStaged, "",         "engine", ""},
    {"B8",   "push the neighbour out of opcache's memory",                     kStaged, "",         "engine", ""},
    {"B9",   "read the neighbour's APCu values",                               kStaged, "apcu",     "engine", ""},
    {"B10",  "crash the neighbour by an extension only one site loads",        kNever,  "",         "", "no second set of extensions is installed"},
    {"B11",  "read the neighbour's values in the OPcache static cache",        kNever,  "",         "", "that is a feature of PHP 8.6; this is PHP 8.2"},
    {"B12",  "leave environment, settings, directory and umask to the next",   kStaged, "",         "engine", ""},

    {"C1",   "order the neighbour's pool to run code (FastCGI socket, 0666)",  kNative, "secret",   "view landlock:9", ""},
    {"C2",   "name the neighbour's paths in a configuration of one's own",     kNever,  "",         "", "the administrator alone writes the configuration"},
    {"C3",   "connect to an abstract socket of the neighbour",                 kNative, "abstract", "landlock:6", ""},
    {"C4",   "connect to a socket of the neighbour in /tmp",                   kNative, "path_socket", "view landlock:9", ""},
    {"C4b",  "connect to a socket of the machine's own services",              kNative, "machine",  "view landlock:9", ""},
    {"C5",   "open a descriptor of the neighbour through /proc/PID/fd",        kNative, "fd",       "pid uid view", ""},
    {"C5b",  "take a descriptor of the neighbour with pidfd_getfd(2)",         kNative, "fd",       "seccomp pid uid", ""},
    {"C6",   "ask the server's control socket",                                kNative, "user",     "view uid landlock", ""},
    {"C6b",  "use the neighbour's service on a loopback TCP port",             kNever,  "",         "", kNetwork},
    {"C7",   "pass `allow 127.0.0.1` of the neighbour from within a site",     kNever,  "",         "", kNetwork},
    {"C8",   "wait at the name of a socket the neighbour is about to use",     kStaged, "squat",    "view", ""},
    {"C9",   "set the neighbour's HTTP_PROXY by a Proxy header (httpoxy)",     kStaged, "",         "php front", ""},
    {"C10",  "crash the neighbour's worker by path info (CVE-2019-11043)",     kStaged, "",         "front php", ""},
    {"C11",  "smuggle headers: underscores, two lengths, two hosts",           kStaged, "",         "front", ""},
    {"C12",  "write files through sendmail, or read the mail queue",           kNever,  "",         "", "mail is the relay's: see SECURITY.md"},
    {"C13",  "read files through MySQL",                                       kNever,  "",         "", "a database has accounts of its own"},

    {"D1",   "read the neighbour's command lines",                             kNative, "cmdline",  "pid view", ""},
    {"D1b",  "read the neighbour's environment",                               kNative, "environ",  "pid uid view", ""},
    {"D1c",  "see what the neighbour has mapped",                              kNative, "root",     "pid uid view", ""},
    {"D1d",  "see where the neighbour works",                                  kNative, "root",     "pid uid view", ""},
    {"D1e",  "read the neighbour's memory through /proc/PID/mem",              kNative, "memory",   "pid uid view", ""},
    {"D2",   "trace the neighbour's process",                                  kNative, "memory",   "seccomp pid uid", ""},
    {"D2b",  "read the neighbour's memory with process_vm_readv(2)",           kNative, "memory",   "seccomp pid uid", ""},
    {"D2c",  "use ptrace(2) at all",                                           kNative, "",         "seccomp", ""},
    {"D3",   "send the neighbour's process a signal",                          kStaged, "",         "pid uid landlock:6", ""},
    {"D3b",  "send every process a signal",                                    kStaged, "",         "pid uid landlock:6", ""},
    {"D3c",  "send the server's processes a signal",                           kNative, "",         "pid uid landlock:6", ""},
    {"D4",   "read the neighbour's System V shared memory",                    kNative, "shm",      "ipc", ""},
    {"D4b",  "take a message from the neighbour's System V queue",             kNative, "msg",      "ipc", ""},
    {"D4c",  "read the neighbour's System V semaphore",                        kNative, "sem",      "ipc", ""},
    {"D4d",  "take a message from the neighbour's POSIX queue",                kNative, "mq",       "ipc", ""},
    {"D4e",  "list System V shared memory",                                    kNative, "ipc_key",  "ipc view", ""},
    {"D5",   "hurt others by writing over all shared memory of one's worker",  kLast,   "",         "engine front", ""},
    {"D6",   "hurt others by noise on every channel of one's worker",          kLast,   "",         "front", ""},
    {"D7",   "inherit a descriptor that is not the site's (program)",          kNative, "",         "engine kernel", ""},
    {"D7b",  "inherit a descriptor that is not the site's (PHP worker)",       kPhp,    "root",     "engine", ""},
    {"D8",   "read a key of the server's session keyring",                     kNative, "key",      "seccomp kernel", ""},
    {"D9",   "become root by a setuid program",                                kNative, "root_only", "nnp view", ""},
    {"D9b",  "keep the way open to setuid programs",                           kNative, "",         "nnp", ""},
    {"D10",  "run outside the sandbox by cron, at, systemd or ssh",            kNever,  "",         "", "they start outside by nature: deny them, or use `bulkhead exec`"},
    {"D11",  "leave a process behind that outlives the site",                  kLast,   "",         "pid group", ""},
    {"D12",  "make a user namespace",                                          kNative, "",         "seccomp kernel", ""},
    {"D12b", "mount a file system",                                            kNative, "",         "seccomp kernel", ""},
    {"D12c", "load BPF",                                                       kNative, "",         "seccomp kernel", ""},
    {"D12d", "open an io_uring",                                               kNative, "",         "seccomp kernel", ""},
    {"D12e", "open a userfaultfd",                                             kNative, "",         "seccomp kernel", ""},
    {"D12f", "open a performance counter",                                     kNative, "",         "seccomp kernel", ""},
    {"D12g", "keep keys in the kernel",                                        kNative, "",         "seccomp kernel", ""},
    {"D12h", "open files by handle, past all paths",                           kNative, "",         "seccomp kernel", ""},
    {"D12i", "open packet, raw, crypto and other strange sockets",             kNative, "",         "seccomp kernel", ""},
    {"D13",  "move to another control group",                                  kNative, "",         "view uid landlock", ""},
    {"D14",  "read the kernel's log",                                          kNative, "",         "seccomp kernel", ""},
    {"D14b", "see the machine's devices",                                      kNative, "",         "view landlock", ""},
    {"D14c", "learn addresses of the kernel",                                  kNative, "",         "view kernel landlock", ""},
    {"D14d", "see the machine's hardware",                                     kNative, "",         "view landlock", ""},
    {"D14e", "change settings of the kernel",                                  kNative, "",         "view uid landlock", ""},
    {"D15",  "read TLS keys or bodies in front's memory",                      kNever,  "",         "", "needs a hole in front first; its sandbox is tested apart"},
    {"D16",  "see the neighbour's socket names in /proc/net/unix",             kNative, "abstract_name", "", kSocketNames},

    {"E1",   "fork without end",                                               kLoad,   "",         "cgroup", ""},
    {"E2",   "take all memory",                                                kLoad,   "",         "cgroup", ""},
    {"E3",   "spin in PHP, in every worker",                                   kLoad,   "",         "cgroup", ""},
    {"E3b",  "spin in eight programs",                                         kLoad,   "",         "cgroup", ""},
    {"E4",   "fill the disk with bytes and files",                             kLoad,   "",         "cgroup", ""},
    {"E5",   "take all descriptors, inotify watches and pipes",                kLoad,   "",         "cgroup", ""},
    {"E6",   "keep all workers asleep, with a queue before them",              kLoad,   "",         "front", ""},
    {"E7",   "hold 300 connections that send a byte now and then",             kLoad,   "",         "front", ""},
    {"E8",   "crash a worker with every request",                              kLoad,   "",         "engine", ""},
    {"E9",   "answer with 8 MB of headers",                                    kLoad,   "",         "front", ""},
    {"E10",  "match a regular expression that backtracks",                     kLoad,   "",         "front", ""},
    {"E11",  "have the configuration reloaded without pause",                  kLoad,   "",         "front", ""},
    {"E12",  "hold a lock on a file that the neighbour locks",                 kStaged, "",         "view landlock", ""},
    {"E13",  "write synchronously without pause",                              kLoad,   "",         "cgroup", ""},

    {"F1",   "give one's site another's name: absolute URI against Host",      kStaged, "",         "front", ""},
    {"F2",   "get another's answer on a shared connection",                    kStaged, "",         "front", ""},
    {"F3",   "have an error page tell paths of the machine",                   kStaged, "",         "front", ""},
    {"F4",   "put script into the status page (CVE-2026-6735)",                kStaged, "",         "front php", ""},
    {"F5",   "split an answer by line ends in a header",                       kStaged, "",         "php front", ""},
    {"F6",   "confuse sites by TLS names and session reuse",                   kNever,  "",         "", "this version serves no TLS"},
};
// clang-format on

constexpr std::pair<char, std::string_view> kGroups[] = {
    {'A', "File system"},          {'B', "PHP engine and opcache"}, {'C', "Sockets and services"},
    {'D', "Processes and kernel"}, {'E', "Denial of service"},      {'F', "HTTP"},
};

constexpr std::pair<std::string_view, std::string_view> kLayers[] = {
    {"view", "the site's own view of the file system"},
    {"pid", "the site's own process namespace"},
    {"ipc", "the site's own IPC namespace"},
    {"landlock", "Landlock rules"},
    {"seccomp", "the system call filter"},
    {"uid", "file and process ownership"},
    {"nnp", "no_new_privs and nosuid mounts"},
    {"group", "the site's control group, which is ended whole"},
    {"cgroup", "the site's share of the machine"},
    {"links", "files are opened as the site's user, by the link rule"},
    {"engine", "a PHP engine whose memory is the site's alone"},
    {"front", "the web server itself"},
    {"php", "PHP itself"},
    {"kernel", "a setting of the kernel"},
};

}  // namespace

std::span<const Probe> probes() { return kRows; }

const Probe* find_probe(std::string_view id) {
  for (const Probe& probe : kRows) {
    if (probe.id == id) return &probe;
  }
  return nullptr;
}

std::string_view group_title(char group) {
  for (auto [letter, title] : kGroups) {
    if (letter == group) return title;
  }
  return "";
}

std::string_view layer_meaning(std::string_view layer) {
  for (auto [name, meaning] : kLayers) {
    if (name == layer) return meaning;
  }
  return "";
}

}  // namespace bulkhead::verify
