#include "sandbox/seccomp.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "base/sanitized.h"
#include "sandbox/seccomp_rules.h"
#include "sys/fd.h"

namespace bulkhead::sandbox {
namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

Result<Context> make_context(uint32_t otherwise) {
  Context context(seccomp_init(otherwise), &seccomp_release);
  if (context == nullptr) return fail("seccomp_init() failed");
  // A call of another architecture (i386, x32) is an attempt to pass by the table.
  int error = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  // A tree over the numbers, for the calls that are not in the kernel's bitmap.
  if (error == 0) error = seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error != 0) return fail_errno("seccomp_attr_set() failed", -error);
  return context;
}

// The number of a call; negative when this architecture does not have it.
int number_of(std::string_view name) {
  int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  return number == __NR_SCMP_ERROR ? younger_call(name) : number;
}

Status add_rule(const Context& context, std::string_view name, uint32_t action,
                const std::vector<scmp_arg_cmp>& tests) {
  int number = number_of(name);
  if (number < 0) return {};  // open(2) on arm64 and the like
  int error = seccomp_rule_add_array(context.get(), action, number,
                                     static_cast<unsigned>(tests.size()), tests.data());
  if (error != 0) return fail_errno("seccomp rule for " + std::string(name) + " failed", -error);
  return {};
}

scmp_arg_cmp comparison(const ArgTest& test) {
  scmp_arg_cmp out{test.arg, SCMP_CMP_MASKED_EQ, test.mask, test.value};
  switch (test.kind) {
    case ArgTest::kBits:
      out.datum_a = test.value;
      break;
    case ArgTest::kIsNot:
      out = {test.arg, SCMP_CMP_NE, test.value, 0};
      break;
    case ArgTest::kAbove:
      out = {test.arg, SCMP_CMP_GT, test.value, 0};
      break;
    case ArgTest::kIs:
    case ArgTest::kNone:
      break;
  }
  return out;
}

Status add_arg_rules(const Context& context, std::span<const ArgRule> rules) {
  for (const ArgRule& rule : rules) {
    std::vector<scmp_arg_cmp> tests;
    for (const ArgTest& test : {rule.first, rule.second}) {
      if (test.kind != ArgTest::kNone) tests.push_back(comparison(test));
    }
    TRY_STATUS(add_rule(context, rule.name, rule.action, tests));
  }
  return {};
}

template <class Take>
Status for_each_name(std::string_view names, Take take) {
  while (!names.empty()) {
    size_t end = std::min(names.find(' '), names.size());
    if (end > 0) TRY_STATUS(take(names.substr(0, end)));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return {};
}

// The list of calls.
Result<Context> by_name(const RuleSet& rules) {
  Context context = TRY(make_context(rules.otherwise));
  for (const CallList& list : rules.calls) {
    if (list.action == rules.otherwise) continue;  // libseccomp refuses a rule that says nothing
    TRY_STATUS(for_each_name(list.names, [&](std::string_view name) {
      return add_rule(context, name, list.action, {});
    }));
  }
  TRY_STATUS(add_arg_rules(context, rules.allowed));
  return context;
}

// What is refused for its arguments: a program of its own, since libseccomp knows no "allowed,
// unless".
Result<Context> by_argument(const RuleSet& rules) {
  Context context = TRY(make_context(SCMP_ACT_ALLOW));
  TRY_STATUS(add_arg_rules(context, rules.refused));
  return context;
}

Result<std::vector<sock_filter>> assembled(const Context& context) {
  sys::Fd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory.valid()) return fail_errno("memfd_create() failed");
  if (int error = seccomp_export_bpf(context.get(), memory.get()); error != 0) {
    return fail_errno("seccomp_export_bpf() failed", -error);
  }
  off_t bytes = ::lseek(memory.get(), 0, SEEK_END);
  if (bytes <= 0 || bytes % sizeof(sock_filter) != 0) return fail("seccomp_export_bpf() was cut");
  std::vector<sock_filter> out(static_cast<size_t>(bytes) / sizeof(sock_filter));
  if (::pread(memory.get(), out.data(), static_cast<size_t>(bytes), 0) != bytes) {
    return fail_errno("reading the seccomp program failed");
  }
  return out;
}

}  // namespace

struct FilterAccess {
  // `itself`: one call that is allowed with this process's id as its first argument.
  static Result<Filter> build(const RuleSet& rules, std::string_view itself = {}) {
    Filter filter;
    Context names = TRY(by_name(rules));
    if (!itself.empty()) {
      ArgTest own{ArgTest::kIs, 0, static_cast<uint32_t>(::getpid())};
      TRY_STATUS(add_arg_rules(names, std::array{ArgRule{itself, SCMP_ACT_ALLOW, own}}));
    }
    filter.programs_.push_back(TRY(assembled(names)));
    if (!rules.refused.empty()) {
      filter.programs_.push_back(TRY(assembled(TRY(by_argument(rules)))));
    }
    return filter;
  }
  static const auto& programs(const Filter& filter) { return filter.programs_; }
};

Result<Filter> Filter::for_site() { return FilterAccess::build(site_rules()); }

// abort() sends its own thread a signal.
Result<Filter> Filter::for_front() {
  if (kSanitized) return for_site();
  return FilterAccess::build(front_rules(), "tgkill");
}
Result<Filter> Filter::for_opener() {
  if (kSanitized) return for_site();
  return FilterAccess::build(opener_rules(), "tgkill");
}

size_t Filter::instructions() const {
  size_t count = 0;
  for (const auto& program : programs_) count += program.size();
  return count;
}

bool site_may_call(std::string_view name) {
  bool found = false;
  for (const CallList& list : site_rules().calls) {
    if (list.action != SCMP_ACT_ALLOW) continue;
    (void)for_each_name(list.names, [&](std::string_view one) -> Status {
      found = found || one == name;
      return {};
    });
  }
  return found;
}

Status install(const Filter& filter, Threads threads) {
  unsigned flags = threads == Threads::kAll ? SECCOMP_FILTER_FLAG_TSYNC : 0;
  const auto& programs = FilterAccess::programs(filter);
  // The list of calls last: it need not allow seccomp(2).
  for (auto program = programs.rbegin(); program != programs.rend(); ++program) {
    sock_fprog prog{static_cast<unsigned short>(program->size()),
                    const_cast<sock_filter*>(program->data())};
    long failed = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
    if (failed < 0) return fail_errno("seccomp(SECCOMP_SET_MODE_FILTER) failed");
    // A thread that could not be brought along is named instead.
    if (failed > 0) return fail("seccomp: thread " + std::to_string(failed) + " has other filters");
  }
  return {};
}

}  // namespace bulkhead::sandbox
