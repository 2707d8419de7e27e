// See cgroup_disks.h.
#include "sandbox/cgroup_disks.h"

#include <filesystem>
#include <optional>
#include <system_error>

#include "sys/files.h"

namespace bulkhead::sandbox {
namespace {

std::string first_line(const std::string& path) {
  const std::string text = sys::read_file(path, 4096).value_or("");
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::vector<std::string> disks(const std::string& sys_block) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(sys_block, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("ram") || name.starts_with("zram")) continue;
    const std::string size = first_line(entry.path() / "size");
    if (size.empty() || size == "0") continue;  // an empty drive, a loop device without a file
    if (std::string number = first_line(entry.path() / "dev"); !number.empty()) {
      out.push_back(std::move(number));
    }
  }
  return out;
}

std::string io_limit_line(std::string_view disk, const config::PoolLimits& limits) {
  auto text = [](const std::optional<uint64_t>& n) { return n ? std::to_string(*n) : "max"; };
  const std::string bytes = text(limits.io_bytes_per_second), count = text(limits.io_per_second);
  return std::string(disk) + " rbps=" + bytes + " wbps=" + bytes + " riops=" + count +
         " wiops=" + count;
}

}  // namespace bulkhead::sandbox
