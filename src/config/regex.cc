#define PCRE2_CODE_UNIT_WIDTH 8
#include "config/regex.h"

#include <pcre2.h>

#include <algorithm>

namespace bulkhead::config {
namespace {

// Backtracking steps one match may take: a hostile subject costs at most some tens of milliseconds.
constexpr uint32_t kMatchLimit = 500'000;
constexpr size_t kJitStackBytesMin = size_t{32} * 1024, kJitStackBytesMax = size_t{512} * 1024;

// What a thread needs to match; made at its first match.
struct ThreadState {
  pcre2_match_data* data = pcre2_match_data_create(Captures::kMax, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackBytesMin, kJitStackBytesMax, nullptr);

  ThreadState() {
    if (context == nullptr) return;
    pcre2_set_match_limit(context, kMatchLimit);
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~ThreadState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
};

std::vector<Regex::NamedGroup> named_groups_of(const pcre2_code* code) {
  uint32_t count = 0, entry_bytes = 0;
  PCRE2_SPTR table = nullptr;
  pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
  std::vector<Regex::NamedGroup> groups;
  if (count == 0) return groups;
  pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
  for (uint32_t i = 0; i < count; ++i, table += entry_bytes) {
    uint32_t number = static_cast<uint32_t>(table[0]) << 8 | table[1];
    groups.push_back({reinterpret_cast<const char*>(table + 2), number});
  }
  return groups;
}

std::unexpected<Error> compile_error(std::string_view pattern, int code, size_t offset) {
  PCRE2_UCHAR message[256];
  pcre2_get_error_message(code, message, sizeof message);
  std::string text = "pcre2_compile() failed: ";
  text += reinterpret_cast<const char*>(message);
  text.append(" in \"").append(pattern) += '"';
  if (offset < pattern.size()) text.append(" at \"").append(pattern.substr(offset)) += '"';
  return fail(std::move(text));
}

}  // namespace

Result<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern, RegexCase how) {
  int error = 0;
  size_t offset = 0;
  uint32_t options = how == RegexCase::kInsensitive ? PCRE2_CASELESS : 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options, &error, &offset, nullptr);
  if (code == nullptr) return compile_error(pattern, error, offset);
  std::shared_ptr<Regex> regex(new Regex);
  regex->code_ = code;
  regex->pattern_ = pattern;
  regex->named_ = named_groups_of(code);
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &regex->group_count_);
  // Without JIT (no memory, or a pattern it cannot do) the interpreter is used: slower, same
  // limits.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return std::shared_ptr<const Regex>(std::move(regex));
}

Regex::~Regex() { pcre2_code_free(static_cast<pcre2_code*>(code_)); }

MatchResult Regex::match(std::string_view subject, Captures* captures) const {
  thread_local ThreadState thread;
  if (captures != nullptr) captures->count = 0;
  if (thread.data == nullptr) return MatchResult::kLimit;
  static constexpr char kEmpty[] = "";
  const char* start = subject.empty() ? kEmpty : subject.data();
  int rc = pcre2_match(static_cast<const pcre2_code*>(code_), reinterpret_cast<PCRE2_SPTR>(start),
                       subject.size(), 0, 0, thread.data, thread.context);
  if (rc == PCRE2_ERROR_NOMATCH) return MatchResult::kNo;
  if (rc < 0) {
    // A subject that is not UTF-8 cannot match a (*UTF) pattern; all else is a limit.
    bool is_utf = rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21;
    return is_utf ? MatchResult::kNo : MatchResult::kLimit;
  }
  if (captures != nullptr) {
    captures->count = rc == 0 ? Captures::kMax : static_cast<size_t>(rc);
    const size_t* offsets = pcre2_get_ovector_pointer(thread.data);
    std::copy(offsets, offsets + 2 * captures->count, captures->at);
  }
  return MatchResult::kYes;
}

}  // namespace bulkhead::config
