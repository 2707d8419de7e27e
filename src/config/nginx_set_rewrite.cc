// set, break, return, rewrite.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

bool is_absolute_url(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("$scheme");
}

RewriteOp& add_op(Builder& b, RewriteOp op) {
  return b.scope().location->ops.emplace_back(std::move(op));
}

RewriteOp make_op(RewriteOp::Kind kind) {
  RewriteOp op;
  op.kind = kind;
  return op;
}

}  // namespace

void set_set(Builder& b, const Directive& d) {
  const std::string& name = d.args[0].text;
  if (!name.starts_with('$') || name.size() < 2) {
    return b.fail(d, "invalid variable name \"" + name + "\"");
  }
  RewriteOp op = make_op(RewriteOp::Kind::kSet);
  std::string bare = to_lower(std::string_view(name).substr(1));
  const VariableRow* row = find_variable(bare);
  if (row != nullptr && row->writable && row->kind == RefKind::kBuiltin) {
    op.builtin = row->var;
  } else if (b.names().find_map(bare) != nullptr) {
    return b.fail(d, "\"set\" of $" + bare +
                         " is not supported by this version of Bulkhead: a \"map\" gives it its "
                         "value");
  } else {
    op.slot = b.define_user(d, bare);
    if (b.failed()) return;
  }
  op.value = b.compile(d, d.args[1].text);
  add_op(b, std::move(op));
}

void set_break(Builder& b, const Directive&) { add_op(b, make_op(RewriteOp::Kind::kBreak)); }

void set_return(Builder& b, const Directive& d) {
  const std::string& first = d.args[0].text;
  RewriteOp op = make_op(RewriteOp::Kind::kReturn);
  auto status = parse_number(first);
  const std::string* text = nullptr;
  if (!status) {
    if (d.args.size() != 1 || !is_absolute_url(first)) {
      return b.fail(d, "invalid return code \"" + first + "\"");
    }
    text = &first;  // status 0: 302
  } else {
    if (*status > 999) return b.fail(d, "invalid return code \"" + first + "\"");
    op.status = static_cast<uint16_t>(*status);
    if (d.args.size() == 2) text = &d.args[1].text;
  }
  if (text != nullptr) {
    op.has_text = true;
    op.value = b.compile(d, *text);
  }
  add_op(b, std::move(op));
}

void set_rewrite(Builder& b, const Directive& d) {
  RewriteOp op = make_op(RewriteOp::Kind::kRewrite);
  op.regex = b.compile_regex(d, d.args[0].text, RegexCase::kSensitive, &op.named);
  if (b.failed()) return;
  std::string replacement = d.args[1].text;
  if (replacement.empty()) return b.fail(d, "empty replacement");
  if (replacement.ends_with('?')) {
    op.drops_args = true;
    replacement.pop_back();
  }
  op.is_absolute = is_absolute_url(replacement);
  if (d.args.size() == 3) {
    using Flag = RewriteOp::Flag;
    const std::string& flag = d.args[2].text;
    if (flag == "last") {
      op.flag = Flag::kLast;
    } else if (flag == "break") {
      op.flag = Flag::kBreak;
    } else if (flag == "redirect") {
      op.flag = Flag::kRedirect;
    } else if (flag == "permanent") {
      op.flag = Flag::kPermanent;
    } else {
      return b.fail(d, "invalid parameter \"" + flag + "\"");
    }
  }
  op.value = b.compile(d, replacement);
  add_op(b, std::move(op));
}

}  // namespace bulkhead::config
