// The byte form of an Ast: little-endian 32-bit numbers and counted strings, depth first.
//
// Runs in: master (serialise), front (deserialise).  Input: bytes from master only; still checked.
#include "config/ast.h"

#include <cstring>

namespace bulkhead::config {
namespace {

constexpr uint32_t kDepthMax = 200;

class Writer {
 public:
  void number(uint32_t value) {
    char bytes[4];
    std::memcpy(bytes, &value, sizeof bytes);
    out_.append(bytes, sizeof bytes);
  }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    out_.append(value);
  }
  void directive(const Directive& item) {
    text(item.name);
    number(item.file);
    number(item.line);
    number(item.end_line);
    number(item.is_block);
    number(static_cast<uint32_t>(item.args.size()));
    for (const Word& word : item.args) {
      text(word.text);
      number(word.quoted);
    }
    directives(item.children);
  }
  void directives(const std::vector<Directive>& items) {
    number(static_cast<uint32_t>(items.size()));
    for (const Directive& item : items) directive(item);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  uint32_t number() {
    uint32_t value = 0;
    if (left_.size() < sizeof value) return broken();
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }
  // A count of things that take at least `bytes_each` bytes, so that it cannot ask for the moon.
  uint32_t count(size_t bytes_each) {
    uint32_t value = number();
    return value <= left_.size() / bytes_each ? value : broken();
  }
  std::string text() {
    uint32_t size = count(1);
    std::string value(left_.substr(0, size));
    left_.remove_prefix(size);
    return value;
  }
  std::vector<Directive> directives(uint32_t depth) {
    std::vector<Directive> items;
    if (depth > kDepthMax) {
      broken();
      return items;
    }
    items.resize(count(7 * sizeof(uint32_t)));
    for (Directive& item : items) {
      if (!ok_) break;
      directive(&item, depth);
    }
    return items;
  }
  [[nodiscard]] bool finished() const { return ok_ && left_.empty(); }

 private:
  uint32_t broken() {
    ok_ = false;
    left_ = {};
    return 0;
  }
  void directive(Directive* item, uint32_t depth) {
    item->name = text();
    item->file = number();
    item->line = number();
    item->end_line = number();
    item->is_block = number() != 0;
    item->args.resize(count(2 * sizeof(uint32_t)));
    for (Word& word : item->args) {
      word.text = text();
      word.quoted = number() != 0;
    }
    item->children = directives(depth + 1);
  }
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace

std::string serialise(const Ast& ast) {
  Writer out;
  out.text(ast.prefix);
  out.text(ast.conf_prefix);
  out.text(ast.hostname);
  out.number(ast.default_port);
  out.number(static_cast<uint32_t>(ast.files.size()));
  for (const SourceFile& file : ast.files) out.text(file.path);
  out.directives(ast.top);
  return out.take();
}

Result<Ast> deserialise(std::string_view bytes) {
  Reader in(bytes);
  Ast ast;
  ast.prefix = in.text();
  ast.conf_prefix = in.text();
  ast.hostname = in.text();
  ast.default_port = in.number();
  ast.files.resize(in.count(sizeof(uint32_t)));
  for (SourceFile& file : ast.files) file.path = in.text();
  ast.top = in.directives(0);
  if (!in.finished()) return fail("the configuration's byte form is damaged");
  return ast;
}

}  // namespace bulkhead::config
