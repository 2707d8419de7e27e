#include "master/php_settings.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace bulkhead::master {
namespace {

constexpr std::string_view kProgram = "bulkhead-php";

void add_file(const std::string& path, std::string* out) {
  struct stat info {};
  if (::stat(path.c_str(), &info) < 0) return;
  for (auto number :
       {static_cast<long long>(info.st_dev), static_cast<long long>(info.st_ino),
        static_cast<long long>(info.st_size), static_cast<long long>(info.st_mtim.tv_sec),
        static_cast<long long>(info.st_mtim.tv_nsec)}) {
    out->append(std::to_string(number)).append(" ");
  }
  out->append(path).append("\n");
}

// A directory with php.ini, or the file itself.
void add_place(const std::string& path, std::string* out) {
  struct stat info {};
  if (::stat(path.c_str(), &info) < 0) return;
  if (!S_ISDIR(info.st_mode)) return add_file(path, out);
  add_file(path + "/php-fpm-fcgi.ini", out);  // php-SAPI.ini comes first
  add_file(path + "/php.ini", out);
}

void add_directory(const std::string& path, std::string* out) {
  glob_t found{};
  if (::glob((path + "/*.ini").c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) add_file(found.gl_pathv[i], out);
  }
  ::globfree(&found);
}

}  // namespace

std::string php_settings(const std::string& program, const std::vector<std::string>& arguments) {
  std::string out, place;
  for (size_t i = 0; i < arguments.size(); ++i) {
    out.append(arguments[i]).append("\n");
    if (arguments[i] == "-n") return out;
    if (arguments[i] == "-c" && i + 1 < arguments.size()) place = arguments[i + 1];
  }
  size_t version = program.rfind(kProgram);
  std::string home = "/etc/php/";
  if (version != std::string::npos) home += program.substr(version + kProgram.size());
  home += "/fpm";
  const char* phprc = std::getenv("PHPRC");
  if (!place.empty()) {
    add_place(place, &out);
  } else {
    if (phprc != nullptr && *phprc != '\0') add_place(phprc, &out);
    add_place(home, &out);
  }
  const char* scan = std::getenv("PHP_INI_SCAN_DIR");
  std::string directories = scan != nullptr ? scan : home + "/conf.d";
  for (size_t at = 0; at <= directories.size();) {
    size_t end = std::min(directories.find(':', at), directories.size());
    // An empty name stands for PHP's own default: the directory it was built with.
    if (end > at) add_directory(directories.substr(at, end - at), &out);
    at = end + 1;
  }
  return out;
}

}  // namespace bulkhead::master
