// The byte form of an Ast: a table of its texts, then the tree, depth first.
//
// Runs in: master (serialise), front (deserialise).  Input: bytes from master only; still checked.
#include "config/ast.h"

#include <unordered_map>

namespace bulkhead::config {
namespace {

constexpr uint32_t kDepthMax = 200;

// Numbers take seven bits a byte, the least first; a text is the number of its place in a table of
// all different texts: ten thousand servers that include one file say the same words.
class Writer {
 public:
  void number(uint32_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void text(const std::string& value) {
    auto [at, is_new] = places_.try_emplace(value, static_cast<uint32_t>(texts_.size()));
    if (is_new) texts_.push_back(&value);
    number(at->second);
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
  // The table, then what was written.
  std::string take() {
    std::string body = std::move(out_);
    out_.clear();
    number(static_cast<uint32_t>(texts_.size()));
    for (const std::string* text : texts_) {
      number(static_cast<uint32_t>(text->size()));
      out_ += *text;
    }
    out_ += body;
    return std::move(out_);
  }

 private:
  std::string out_;
  std::unordered_map<std::string_view, uint32_t> places_;
  std::vector<const std::string*> texts_;  // of the Ast, which outlives this
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  void table() {
    texts_.resize(count(1));
    for (std::string& text : texts_) {
      const uint32_t size = count(1);
      text = left_.substr(0, size);
      left_.remove_prefix(size);
    }
  }
  uint32_t number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35 && !left_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(left_.front());
      left_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value <= UINT32_MAX ? static_cast<uint32_t>(value) : broken();
    }
    return broken();
  }
  // A count of things that take at least `bytes_each` bytes, so that it cannot ask for the moon.
  uint32_t count(size_t bytes_each) {
    uint32_t value = number();
    return value <= left_.size() / bytes_each ? value : broken();
  }
  std::string text() {
    const uint32_t place = number();
    if (place < texts_.size()) return texts_[place];
    broken();
    return {};
  }
  std::vector<Directive> directives(uint32_t depth) {
    std::vector<Directive> items;
    if (depth > kDepthMax) {
      broken();
      return items;
    }
    items.resize(count(7));
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
    item->args.resize(count(2));
    for (Word& word : item->args) {
      word.text = text();
      word.quoted = number() != 0;
    }
    item->children = directives(depth + 1);
  }
  std::string_view left_;
  std::vector<std::string> texts_;
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
  in.table();
  Ast ast;
  ast.prefix = in.text();
  ast.conf_prefix = in.text();
  ast.hostname = in.text();
  ast.default_port = in.number();
  ast.files.resize(in.count(1));
  for (SourceFile& file : ast.files) file.path = in.text();
  ast.top = in.directives(0);
  if (!in.finished()) return fail("the configuration's byte form is damaged");
  return ast;
}

}  // namespace bulkhead::config
