// Process titles: `ps` reads the memory where the kernel put argv and the environment.
//
// Runs in: every process.  Input: our own text.
#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>

#include "sys/process.h"

namespace bulkhead::sys {
namespace {

// Written once in main, before threads; the memory belongs to the process, hence file scope.
struct TitleArea {
  char* begin = nullptr;
  size_t size = 0;
} area;

}  // namespace

void init_process_title(int argc, char** argv) {
  if (argc <= 0 || area.begin != nullptr) return;
  // A program started by descriptor is named after its number until it says otherwise.
  const char* slash = std::strrchr(argv[0], '/');
  ::prctl(PR_SET_NAME, slash != nullptr ? slash + 1 : argv[0]);
  char* end = argv[0];
  for (int i = 0; i < argc; ++i) {
    if (argv[i] == end) end = argv[i] + std::strlen(argv[i]) + 1;
  }
  size_t count = 0;
  for (char** e = ::environ; *e != nullptr; ++e, ++count) {
    if (*e == end) end = *e + std::strlen(*e) + 1;
  }
  // Copies live as long as the process: getenv() hands out pointers into them.
  char** copy = new char*[count + 1];
  for (size_t i = 0; i < count; ++i) copy[i] = ::strdup(::environ[i]);
  copy[count] = nullptr;
  ::environ = copy;
  area = {argv[0], static_cast<size_t>(end - argv[0])};
}

void set_process_title(std::string_view title) {
  if (area.size < 2) return;
  size_t n = std::min(title.size(), area.size - 1);
  std::memcpy(area.begin, title.data(), n);
  std::memset(area.begin + n, 0, area.size - n);
}

}  // namespace bulkhead::sys
