#include "front/rewrite.h"

#include "front/plan.h"
#include "front/variables.h"
#include "http/ascii.h"
#include "http/uri.h"

namespace bulkhead::front {

using config::Condition;
using config::RewriteOp;
using How = RewriteEnd::How;

namespace {

// The replacement of a `rewrite`: path and arguments apart.
struct Replacement {
  std::string_view path, args;
  bool has_args = false;
};

// Joins the parts.  Captures are escaped after '?', and in redirects, when the request's path had
// escapes of its own; the first '?' of literal text starts the arguments.
std::string_view join_replacement(Exchange& ex, const RewriteOp& op, bool redirect,
                                  size_t* args_at) {
  std::string out;
  bool quoting = redirect;
  for (const config::VarRef& ref : op.value.parts) {
    if (ref.kind == config::RefKind::kLiteral) {
      size_t mark = *args_at == std::string::npos ? ref.text.find('?') : std::string::npos;
      if (mark != std::string::npos) {
        *args_at = out.size() + mark;
        quoting = true;
      }
      out += ref.text;
      continue;
    }
    std::string_view value = value_of(ex, ref).text;
    if (ref.kind == config::RefKind::kCapture && quoting && ex.escapes_captures) {
      http::append_escaped(out, value, http::Escape::kArgs);
    } else {
      out += value;
    }
  }
  return ex.arena.copy(out);
}

std::string_view with_args(Exchange& ex, std::string_view text, char mark, std::string_view args) {
  char* at = ex.arena.allocate(text.size() + 1 + args.size());
  char* next = std::copy(text.begin(), text.end(), at);
  *next++ = mark;
  std::copy(args.begin(), args.end(), next);
  return {at, text.size() + 1 + args.size()};
}

// The Location of a redirecting rewrite.
std::string_view redirect_target(Exchange& ex, const RewriteOp& op) {
  size_t args_at = std::string::npos;
  std::string_view joined = join_replacement(ex, op, true, &args_at);
  std::string out;
  http::append_unescaped(out, joined, http::Unescape::kRedirect);
  std::string_view target = ex.arena.copy(out);
  if (op.drops_args || ex.args.empty()) return target;
  return with_args(ex, target, args_at == std::string::npos ? '?' : '&', ex.args);
}

// Replaces uri and args.  False: the uri became empty.
bool replace_uri(Exchange& ex, const RewriteOp& op) {
  size_t args_at = std::string::npos;
  std::string_view joined = join_replacement(ex, op, false, &args_at);
  if (args_at != std::string::npos) {
    std::string_view args = joined.substr(args_at + 1);
    if (!op.drops_args && !ex.args.empty()) args = with_args(ex, args, '&', ex.args);
    ex.args = args;
    joined = joined.substr(0, args_at);
  } else if (op.drops_args) {
    ex.args = std::string_view("", 0);
  }
  ex.uri = joined;
  return !joined.empty();
}

class Runner {
 public:
  Runner(Exchange& ex, RewriteScope scope, Suspension& state, RewriteHost& host)
      : ex_(ex), scope_(scope), state_(state), host_(host) {}

  RewriteEnd run() {
    while (!state_.rewrite.empty()) {
      RewriteFrame& frame = state_.rewrite.back();
      if (frame.next == frame.ops->size()) {
        state_.rewrite.pop_back();
        continue;
      }
      const RewriteOp& op = (*frame.ops)[frame.next];
      RewriteEnd end = step(op);
      if (end.how == How::kWait) return end;
      if (end.how != How::kOn || stop_) {
        state_.rewrite.clear();
        return end;
      }
    }
    return {};
  }

 private:
  RewriteEnd step(const RewriteOp& op) {
    switch (op.kind) {
      case RewriteOp::Kind::kSet:
        set(op);
        break;
      case RewriteOp::Kind::kIf:
        return test(op);
      case RewriteOp::Kind::kRewrite:
        advance();
        return rewrite(op);
      case RewriteOp::Kind::kReturn:
        advance();
        return answer(op);
      case RewriteOp::Kind::kBreak:
        ex_.uri_changed = false;
        stop_ = true;
        break;
    }
    advance();
    return {};
  }

  void advance() { ++state_.rewrite.back().next; }

  void set(const RewriteOp& op) {
    std::string_view value = evaluate(ex_, op.value);
    if (op.builtin == config::Var::kArgs || op.builtin == config::Var::kQueryString) {
      ex_.args = value;
    } else if (op.builtin == config::Var::kLimitRate) {
      ex_.limit_rate = parse_size(value);
    } else if (!op.builtin) {
      if (op.slot >= ex_.user_variables.size()) ex_.user_variables.resize(op.slot + 1);
      ex_.user_variables[op.slot] = {value.data() == nullptr ? "" : value, true};
    }
  }

  static uint64_t parse_size(std::string_view text) {
    uint64_t unit = 1;
    if (!text.empty()) {
      char last = http::to_lower(text.back());
      unit = last == 'k' ? 1024 : last == 'm' ? 1024 * 1024 : last == 'g' ? 1u << 30 : 1;
      if (unit != 1) text.remove_suffix(1);
    }
    return http::parse_decimal(text, INT64_MAX >> 31).value_or(0) * unit;
  }

  RewriteEnd rewrite(const RewriteOp& op) {
    config::Captures groups;
    switch (op.regex->match(ex_.uri, &groups)) {
      case config::MatchResult::kNo:
        ex_.match.groups.count = 0;
        return {};
      case config::MatchResult::kLimit:
        host_.log(ex_, config::LogLevel::kAlert, "regular expression took too long in rewrite", 0);
        return {How::kStatus, 500, {}};
      case config::MatchResult::kYes:
        break;
    }
    remember_match(ex_, ex_.uri, groups, op.named);
    bool redirect = op.is_absolute || op.flag == RewriteOp::Flag::kRedirect ||
                    op.flag == RewriteOp::Flag::kPermanent;
    ex_.internal = true;
    ex_.unparsed_uri_is_valid = false;
    if (redirect) {
      ex_.response.location = redirect_target(ex_, op);
      auto status = static_cast<uint16_t>(op.flag == RewriteOp::Flag::kPermanent ? 301 : 302);
      return {How::kStatus, status, {}};
    }
    ex_.uri_changed = op.flag != RewriteOp::Flag::kBreak;
    if (op.flag == RewriteOp::Flag::kBreak) ex_.location_is_valid = false;
    if (!replace_uri(ex_, op)) {
      host_.log(ex_, config::LogLevel::kError, "the rewritten URI has a zero length", 0);
      return {How::kStatus, 500, {}};
    }
    stop_ = op.flag != RewriteOp::Flag::kNone;
    return {};
  }

  RewriteEnd answer(const RewriteOp& op) {
    uint16_t status = op.status == 0 ? 302 : op.status;
    if (status >= 400 && !op.has_text) return {How::kStatus, status, {}};
    ex_.response.status = status;  // the text may name $status
    std::string_view text = evaluate(ex_, op.value);
    bool redirect = (status >= 301 && status <= 303) || status == 307 || status == 308;
    if (!redirect) return {How::kAnswer, status, text};
    ex_.response.location = text.data() == nullptr ? std::string_view("") : text;
    return {How::kStatus, status, {}};
  }

  RewriteEnd test(const RewriteOp& op) {
    bool holds = false;
    RewriteEnd end = condition(*op.condition, &holds);
    if (end.how != How::kOn) return end;
    advance();
    if (!holds || op.if_location == nullptr) return {};
    if (scope_ == RewriteScope::kLocation) {
      const LocationPlan* plan = ex_.server->find_if(op.if_location);
      if (plan != nullptr) host_.enter_if(ex_, *plan);
    }
    state_.rewrite.push_back({&op.if_location->ops, 0});
    return {};
  }

  RewriteEnd condition(const Condition& c, bool* holds) {
    using Op = Condition::Op;
    switch (c.op) {
      case Op::kTrue: {
        std::string_view v = evaluate(ex_, c.subject);
        *holds = !v.empty() && v != "0";
        return {};
      }
      case Op::kEqual:
      case Op::kNotEqual:
        *holds = (evaluate(ex_, c.subject) == evaluate(ex_, c.value)) == (c.op == Op::kEqual);
        return {};
      case Op::kMatch:
      case Op::kNotMatch:
        return match(c, holds);
      default:
        return file_test(c, holds);
    }
  }

  RewriteEnd match(const Condition& c, bool* holds) {
    std::string_view subject = evaluate(ex_, c.subject);
    config::Captures groups;
    switch (c.regex->match(subject, &groups)) {
      case config::MatchResult::kNo:
        ex_.match.groups.count = 0;
        *holds = c.op == Condition::Op::kNotMatch;
        return {};
      case config::MatchResult::kYes:
        remember_match(ex_, subject, groups, c.named);
        *holds = c.op == Condition::Op::kMatch;
        return {};
      case config::MatchResult::kLimit:
        break;
    }
    host_.log(ex_, config::LogLevel::kAlert, "regular expression took too long in if", 0);
    return {How::kStatus, 500, {}};
  }

  RewriteEnd file_test(const Condition& c, bool* holds) {
    using Op = Condition::Op;
    std::string_view path = evaluate(ex_, c.subject);
    FileRef file = host_.test_file(ex_, path);
    if (!file) return {How::kWait, 0, {}};
    // An unreadable file exists all the same: tests look at the inode, not at permission to read.
    bool exists = file->error == 0 || (file->error == EACCES && file->exists);
    if (!exists && file->error != ENOENT && file->error != ENOTDIR && file->error != ENAMETOOLONG) {
      host_.log(ex_, config::LogLevel::kCrit, "stat() \"" + std::string(path) + "\" failed",
                file->error);
    }
    bool regular = exists && file->type == ipc::FileType::kRegular;
    bool directory = exists && file->type == ipc::FileType::kDirectory;
    switch (c.op) {
      case Op::kFile:
      case Op::kNotFile:
        *holds = regular == (c.op == Op::kFile);
        break;
      case Op::kDir:
      case Op::kNotDir:
        *holds = directory == (c.op == Op::kDir);
        break;
      case Op::kExists:
      case Op::kNotExists:
        *holds = exists == (c.op == Op::kExists);
        break;
      default:
        *holds = (exists && file->executable) == (c.op == Op::kExecutable);
    }
    return {};
  }

  Exchange& ex_;
  RewriteScope scope_;
  Suspension& state_;
  RewriteHost& host_;
  bool stop_ = false;
};

}  // namespace

RewriteEnd run_rewrite(Exchange& ex, const std::vector<RewriteOp>& ops, RewriteScope scope,
                       Suspension& state, RewriteHost& host) {
  if (state.rewrite.empty()) {
    if (ops.empty()) return {};
    state.rewrite.push_back({&ops, 0});
  }
  return Runner(ex, scope, state, host).run();
}

}  // namespace bulkhead::front
