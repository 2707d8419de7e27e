// Every directive of the php-fpm language as one row: name, where its value goes, one line of help.
//
// Runs in: master.  Input: configuration (trusted).
// The order of the rows is the order of `given` bits in FpmGlobal and PoolConfig.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/pool_config.h"

namespace bulkhead::config {

// How a value is read.  kSeconds takes s, m, h, d; kSandbox stores "on", "strict" or
// "off" as text; kChecked stores the text that pool_value_fault() found nothing wrong with.
enum class FpmForm {
  kInteger,
  kSeconds,
  kBoolean,
  kString,
  kLogLevel,
  kFacility,
  kCoreLimit,
  kPm,
  kWords,
  kSandbox,
  kChecked,
};
enum class FpmOwner { kPhpFpm, kBulkhead };
// kLater: read and checked, but without effect in this version; said at start when used.
enum class FpmForce { kNow, kLater };

template <class T>
using FpmField = std::variant<int T::*, bool T::*, std::string T::*, FpmLevel T::*, Pm T::*,
                              std::vector<std::string> T::*>;

template <class T>
struct FpmRow {
  std::string_view name;
  FpmForm form;
  FpmField<T> field;
  std::string_view help;
  FpmOwner owner = FpmOwner::kPhpFpm;
  FpmForce force = FpmForce::kNow;
};

std::span<const FpmRow<FpmGlobal>> fpm_global_rows();
std::span<const FpmRow<PoolConfig>> fpm_pool_rows();

// Stores a value; nothing when it fits, else php-fpm's words for what is wrong with it.
template <class T>
std::optional<std::string_view> fpm_store(const FpmRow<T>& row, const std::string& value, T* into);

// Whether the row called `name` was written in the file.
template <class T>
bool fpm_given(const T& config, std::string_view name);

// 24 for "daemon": the number syslog(3) uses; -1 when there is no such facility.
int fpm_facility_number(std::string_view name);

// "1", "yes", "on", "true" and their opposites; nothing for anything else.
std::optional<bool> fpm_boolean(std::string_view value);

// Case does not matter in names of directives, pools and levels.
bool fpm_same_name(std::string_view a, std::string_view b);

}  // namespace bulkhead::config
