// directive_pages FROM TO: makes a page of the manual from its frame and the tables of directives.
//
// Runs in: the build.  Input: share/man/*.in.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "config/manual.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: directive_pages FROM TO\n", stderr);
    return 2;
  }
  std::ifstream from(argv[1], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(from), {}};
  std::ofstream to(argv[2], std::ios::binary | std::ios::trunc);
  to << bulkhead::config::fill_manual(text);
  to.close();
  if (from && !text.empty() && to) return 0;
  std::fprintf(stderr, "directive_pages: cannot make %s from %s\n", argv[2], argv[1]);
  return 1;
}
