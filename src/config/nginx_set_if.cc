// if: the condition, and the anonymous location entered when it holds.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

using Op = Condition::Op;

// The words between the parentheses; fails as nginx does.
class ConditionParser {
 public:
  ConditionParser(Builder& b, const Directive& d) : b_(b), d_(d) {
    for (const Word& word : d.args) words_.push_back(word.text);
  }

  std::unique_ptr<Condition> parse() {
    if (!words_[0].starts_with('(')) return invalid(0);
    if (words_[0].size() == 1) {
      ++at_;
    } else {
      words_[0].erase(0, 1);
    }
    if (!words_.back().ends_with(')')) return invalid(words_.size() - 1);
    last_ = words_.size() - 1;
    if (words_[last_].size() == 1) {
      if (last_ == 0) return invalid(0);
      --last_;
    } else {
      words_[last_].pop_back();
    }
    if (at_ >= words_.size()) return invalid(words_.size() - 1);
    const std::string& first = words_[at_];
    if (first.size() > 1 && first[0] == '$') return variable();
    bool is_file_test = (first.size() == 2 && first[0] == '-') ||
                        (first.size() == 3 && first[0] == '!' && first[1] == '-');
    if (is_file_test) return file_test();
    return invalid(at_);
  }

 private:
  std::unique_ptr<Condition> invalid(size_t at) {
    b_.fail(d_, "invalid condition \"" + words_[at] + "\"");
    return nullptr;
  }

  std::unique_ptr<Condition> variable() {
    if (at_ != last_ && at_ + 2 != last_) return invalid(at_);
    auto out = std::make_unique<Condition>();
    out->subject.parts.push_back(b_.names().refer(std::string_view(words_[at_]).substr(1)));
    out->op = Op::kTrue;
    if (at_ == last_) return out;
    const std::string& how = words_[at_ + 1];
    const std::string& value = words_[last_];
    if (how == "=" || how == "!=") {
      out->op = how == "=" ? Op::kEqual : Op::kNotEqual;
      out->value = b_.compile(d_, value);
    } else if (how == "~" || how == "~*" || how == "!~" || how == "!~*") {
      out->op = how[0] == '!' ? Op::kNotMatch : Op::kMatch;
      auto match_case = how.back() == '*' ? RegexCase::kInsensitive : RegexCase::kSensitive;
      out->regex = b_.compile_regex(d_, value, match_case, &out->named);
    } else {
      b_.fail(d_, "unexpected \"" + how + "\" in condition");
    }
    return out;
  }

  std::unique_ptr<Condition> file_test() {
    if (at_ + 1 != last_) return invalid(at_);
    const std::string& how = words_[at_];
    bool is_not = how[0] == '!';
    auto out = std::make_unique<Condition>();
    switch (how.back()) {
      case 'f':
        out->op = is_not ? Op::kNotFile : Op::kFile;
        break;
      case 'd':
        out->op = is_not ? Op::kNotDir : Op::kDir;
        break;
      case 'e':
        out->op = is_not ? Op::kNotExists : Op::kExists;
        break;
      case 'x':
        out->op = is_not ? Op::kNotExecutable : Op::kExecutable;
        break;
      default:
        return invalid(at_);
    }
    out->subject = b_.compile(d_, words_[last_]);
    return out;
  }

  Builder& b_;
  const Directive& d_;
  std::vector<std::string> words_;
  size_t at_ = 0, last_ = 0;
};

}  // namespace

void set_if(Builder& b, const Directive& d) {
  RewriteOp op;
  op.kind = RewriteOp::Kind::kIf;
  op.condition = ConditionParser(b, d).parse();
  if (b.failed()) return;
  Location& outer = *b.scope().location;
  auto owned = std::make_unique<Location>();
  Location& location = *owned;
  location.kind = Location::Kind::kIf;
  location.text = "if";
  location.server = b.scope().server_index;
  location.parent = &outer;
  location.file = d.file;
  location.line = d.line;
  op.if_location = &location;
  outer.ifs.push_back(std::move(owned));
  outer.ops.push_back(std::move(op));
  Scope* scope = b.open_scope(b.scope().context == kServer ? kServerIf : kLocationIf, d);
  scope->location = &location;
  b.walk(d.children, scope);
}

}  // namespace bulkhead::config
