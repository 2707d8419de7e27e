// The nginx language after lexing and includes: a tree of directives with their places.
//
// Runs in: master (parses files), front (receives the tree as bytes and builds the same model).
// Input: configuration (trusted); the byte form comes from master only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::config {

// One argument word.  `quoted` matters only for dumping and for `if` conditions.
struct Word {
  std::string text;
  bool quoted = false;
};

struct Directive {
  std::string name;
  std::vector<Word> args;
  uint32_t file = 0;  // index into Ast::files
  uint32_t line = 0;  // of the ; or { that ends the words, as nginx counts
  bool is_block = false;
  uint32_t end_line = 0;            // of the closing brace, when is_block
  std::vector<Directive> children;  // when is_block; `include` is already replaced by its contents
};

struct SourceFile {
  std::string path;  // absolute, as nginx -T prints it
  std::string text;  // verbatim contents (only in master: not serialised)
};

struct Ast {
  std::vector<SourceFile> files;  // in the order they were opened; [0] is the main file
  std::vector<Directive> top;
  std::string prefix;       // -p, ends in '/'
  std::string conf_prefix;  // directory of the main file, ends in '/'
  // Facts of the machine that meaning depends on, so that master and front build equal models.
  std::string hostname;        // lower case, for `server_name $hostname`
  uint32_t default_port = 80;  // of a server without `listen`; 8000 for an ordinary user
};

// Compact byte form for the snapshot master hands to front (file texts left out), and back.
std::string serialise(const Ast& ast);
Result<Ast> deserialise(std::string_view bytes);

}  // namespace bulkhead::config
