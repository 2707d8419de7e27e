// See options.h.
#include "mail/options.h"

#include <charconv>
#include <string_view>

#include "mail/address.h"

namespace bulkhead::mail {
namespace {

constexpr int kTimeoutMax_s = 3600;
constexpr size_t kRecipientsMax = 10'000;

// Flags that change nothing here: how to report errors, queue or rewrite is the relay's business.
constexpr std::string_view kIgnored = "UGmnvx";
// The same with a value of their own, in the word or the next one.
constexpr std::string_view kIgnoredWithValue = "BCLNORVhp";
// The same with what follows in the word, if anything.
constexpr std::string_view kIgnoredWithRest = "ADdeoq";

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& words) : words_(words) {}

  Result<Options> run() {
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (is_over_ || word.size() < 2 || word[0] != '-') {
        TRY_STATUS(add_recipients(word));
      } else if (word == "--") {
        is_over_ = true;
      } else if (word.starts_with("--")) {
        TRY_STATUS(long_option(word));
      } else {
        TRY_STATUS(flags(word));
      }
    }
    return std::move(out_);
  }

 private:
  Status add_recipients(const std::string& word) {
    if (parse_addresses(word, &out_.recipients) != 0) {
      return fail("'" + word + "' is not a mail address");
    }
    if (out_.recipients.size() > kRecipientsMax) return fail("too many recipients");
    return {};
  }

  Status long_option(std::string_view word) {
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
    if (name == "--relay" && !value.empty()) {
      out_.relay = value;
    } else if (name == "--from" && is_address(value)) {
      out_.from = value;
    } else if (name == "--site" && !value.empty()) {
      out_.site = value;
    } else if (name == "--timeout") {
      int seconds = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
      if (error != std::errc() || end != value.data() + value.size() || seconds < 1 ||
          seconds > kTimeoutMax_s) {
        return fail("--timeout takes seconds from 1 to " + std::to_string(kTimeoutMax_s));
      }
      out_.timeout_max = std::chrono::seconds(seconds);
    } else if (word == "--no-tempfail") {
      out_.hard_failures = true;
    } else if (word == "--help") {
      out_.mode = Options::Mode::kHelp;
    } else if (word == "--version") {
      out_.mode = Options::Mode::kVersion;
    } else {
      return fail("'" + std::string(word) + "' is not an option of this sendmail");
    }
    return {};
  }

  // "-ti", "-fuser@host", "-f user@host".
  Status flags(const std::string& word) {
    for (size_t i = 1; i < word.size(); ++i) {
      const char c = word[i];
      if (c == 't') {
        out_.recipients_from_headers = true;
      } else if (c == 'i') {
        out_.dot_is_text = true;
      } else if (kIgnored.find(c) != std::string_view::npos) {
        continue;
      } else {
        return flag_with_value(word, i);
      }
    }
    return {};
  }

  // The flag at `i` and all that follows in its word.
  Status flag_with_value(const std::string& word, size_t i) {
    const char c = word[i];
    const std::string rest = word.substr(i + 1);
    if (c == 'o' && rest.starts_with('i')) out_.dot_is_text = true;
    if (kIgnoredWithRest.find(c) != std::string_view::npos) return {};
    if (c == 'b') return mode(rest);
    if (c == 'X') return fail("-X is refused: it would write a file of the caller's choice");
    if (c != 'f' && c != 'r' && c != 'F' && kIgnoredWithValue.find(c) == std::string_view::npos) {
      return fail(std::string("-") + c + " is not an option of this sendmail");
    }
    if (rest.empty() && at_ + 1 == words_.size())
      return fail(std::string("-") + c + " needs a value");
    std::string value = rest.empty() ? words_[++at_] : rest;
    if (c == 'F') out_.full_name = std::move(value);
    return c == 'f' || c == 'r' ? set_sender(value) : Status();
  }

  Status set_sender(const std::string& value) {
    std::vector<std::string> found;
    const bool is_null = value.empty() || value == "<>";
    if (!is_null && (parse_addresses(value, &found) != 0 || found.size() != 1)) {
      return fail("'" + value + "' is not a mail address (-f)");
    }
    out_.has_sender = true;
    out_.sender = is_null ? "" : found[0];
    return {};
  }

  Status mode(std::string_view which) {
    if (which == "m") return {};
    if (which != "p") {
      return fail("-b" + std::string(which) + " is not offered: this sendmail only hands mail in");
    }
    out_.mode = Options::Mode::kQueue;
    return {};
  }

  const std::vector<std::string>& words_;
  size_t at_ = 0;
  bool is_over_ = false;
  Options out_;
};

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  return Parser(arguments).run();
}

}  // namespace bulkhead::mail
