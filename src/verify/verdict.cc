#include "verify/verdict.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sys/files.h"

namespace bulkhead::verify {
namespace {

using Names = std::set<std::string, std::less<>>;

bool refuses_with(std::string_view layer, int error) {
  auto is = [&](std::initializer_list<int> errors) {
    for (int e : errors) {
      if (e == error) return true;
    }
    return false;
  };
  if (layer == "view") return is({ENOENT, ENOTDIR, EROFS, ENXIO, EXDEV, 0});
  if (layer == "pid") return is({ESRCH, ENOENT, EINVAL, 0});
  if (layer == "ipc") return is({ENOENT, ENOMSG, EINVAL, EIDRM, 0});
  if (layer == "landlock") return is({EACCES, EPERM, EXDEV});
  if (layer == "seccomp") return is({EPERM, ENOSYS, EACCES, EAFNOSUPPORT});
  if (layer == "uid") return is({EACCES, EPERM});
  if (layer == "nnp") return is({EPERM, EACCES});
  return true;  // the others refuse in ways of their own
}

struct Need {
  std::string layer;
  int abi = 0;
};
std::vector<Need> parse_layers(std::string_view text) {
  std::vector<Need> out;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    Need need{word, 0};
    if (size_t colon = word.find(':'); colon != std::string::npos) {
      need.layer = word.substr(0, colon);
      std::from_chars(word.data() + colon + 1, word.data() + word.size(), need.abi);
    }
    out.push_back(std::move(need));
  }
  return out;
}

std::string shortened(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  constexpr size_t kMax = 160;
  if (text.size() > kMax) text = text.substr(0, kMax) + "...";
  return text;
}

std::string reason(const Finding& finding) {
  std::string text = shortened(finding.step);
  if (finding.error != 0) text += std::string(": ") + std::strerror(finding.error);
  return text;
}

Outcome held(const Probe& probe, const Finding& finding, const Server& server) {
  Outcome out{&probe, Verdict::kBlocked, "", reason(finding), 0, 0};
  if (finding.done) out.detail = "the marker was not in what was found";
  const Names have = layers_of(server);
  bool one_is_missing = false;
  for (const Need& need : parse_layers(probe.layers)) {
    bool present = have.contains(need.layer) && (need.abi == 0 || landlock_abi() >= need.abi);
    if (!present) {
      // Newest ABIs are an extra; a layer this kernel lacks altogether is worth telling.
      one_is_missing |= server.kind == ServerKind::kBulkhead && need.layer == "landlock" &&
                        landlock_abi() < std::min(need.abi, 6);
      continue;
    }
    if (out.by.empty() && refuses_with(need.layer, finding.done ? 0 : finding.error)) {
      out.by = need.layer;
    }
  }
  if (out.by.empty()) out.by = finding.error == ENOENT || finding.done ? "not there" : "kernel";
  if (one_is_missing) out.verdict = Verdict::kDegraded;
  return out;
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBlocked:
      return "BLOCKED";
    case Verdict::kAllowed:
      return "ALLOWED";
    case Verdict::kDegraded:
      return "DEGRADED";
    case Verdict::kOpen:
      return "OPEN";
    case Verdict::kNotRun:
      break;
  }
  return "not run";
}

Finding parse_finding(const std::string& json) {
  auto value = nlohmann::json::parse(json, nullptr, false);
  if (!value.is_object()) return cannot("the attacker's answer cannot be read: " + shortened(json));
  auto text = [&](const char* key) {
    return value.contains(key) && value[key].is_string() ? value[key].get<std::string>() : "";
  };
  Finding finding{text("got"), false, 0, text("step"), text("cannot")};
  if (value.contains("done") && value["done"].is_boolean())
    finding.done = value["done"].get<bool>();
  if (value.contains("errno") && value["errno"].is_number_integer()) {
    finding.error = value["errno"].get<int>();
  }
  return finding;
}

std::set<std::string, std::less<>> layers_of(const Server& server) {
  Names names{"uid", "kernel", "php", "front"};
  if (server.kind == ServerKind::kStock) return names;
  for (const char* own : {"view", "pid", "ipc", "seccomp", "nnp", "links", "engine"}) {
    names.insert(own);
  }
  // Shares need controllers of cgroup v2; a kernel may have the hierarchy and none of them. What a
  // group holds can be ended as one without them, too.
  for (const char* path :
       {"/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"}) {
    auto controllers = sys::read_file(path, 4096);
    if (controllers) names.insert("group");
    if (controllers && controllers->find("cpu") != std::string::npos) names.insert("cgroup");
  }
  if (landlock_abi() > 0) names.insert("landlock");
  for (const std::string& off : server.layers_off) {
    names.erase(off);
    if (off == "cgroup") names.erase("group");
  }
  return names;
}

int landlock_abi() {
  constexpr long kCreateRuleset = 444;
  constexpr unsigned kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  long abi = ::syscall(kCreateRuleset, nullptr, 0, kVersion);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

Outcome judge(const Probe& probe, const Finding& finding, const Evidence& evidence,
              const Server& server) {
  if (!finding.cannot.empty()) return {&probe, Verdict::kNotRun, "", finding.cannot, 0, 0};
  if (probe.evidence.empty()) {
    if (finding.done) return {&probe, Verdict::kAllowed, "", shortened(finding.got), 0, 0};
    return held(probe, finding, server);
  }
  if (!evidence.planted.contains(probe.evidence)) {
    auto why = evidence.missing.find(probe.evidence);
    return {&probe,
            Verdict::kNotRun,
            "",
            "the evidence could not be planted" +
                (why == evidence.missing.end() ? std::string() : ": " + why->second),
            0,
            0};
  }
  const std::string& marker = evidence.markers.find(probe.evidence)->second;
  size_t at = finding.got.find(marker);
  if (at != std::string::npos) {
    const bool open = server.kind == ServerKind::kBulkhead && !probe.note.empty();
    return {&probe, open ? Verdict::kOpen : Verdict::kAllowed,
            "",     "obtained " + shortened(marker) + (open ? ": " + std::string(probe.note) : ""),
            0,      0};
  }
  return held(probe, finding, server);
}

}  // namespace bulkhead::verify
