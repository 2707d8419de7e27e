// Every directive of the nginx language as one row; parser, errors, manual and completion read it.
//
// Runs in: master, front (through build_model).  Input: none; constant data.
// Ref: nginx.org "Alphabetical index of directives" (1.22 and the newer ones worth recognising).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead::config {

class Builder;
struct Directive;

// Where a directive may stand; rows combine them.
enum Context : uint32_t {
  kMain = 1 << 0,
  kEvents = 1 << 1,
  kHttp = 1 << 2,
  kServer = 1 << 3,
  kLocation = 1 << 4,
  kServerIf = 1 << 5,    // `if` inside server
  kLocationIf = 1 << 6,  // `if` inside location
  kLimitExcept = 1 << 7,
  kUpstream = 1 << 8,
  kMail = 1 << 9,
  kMailServer = 1 << 10,
  kStream = 1 << 11,
  kStreamServer = 1 << 12,
  kStreamUpstream = 1 << 13,
  kFree = 1 << 14,  // inside a block whose entries are not directives (map, types, geo)
  kHttpServerLocation = kHttp | kServer | kLocation,
  kAnyHttp = kHttp | kServer | kLocation | kLocationIf,
};

// How many words may follow the name: bit n allows n words.
enum Arguments : uint32_t {
  kNone0 = 1 << 0,
  kTake1 = 1 << 1,
  kTake2 = 1 << 2,
  kTake3 = 1 << 3,
  kTake4 = 1 << 4,
  kTake5 = 1 << 5,
  kTake6 = 1 << 6,
  kTake7 = 1 << 7,
  kFlag = 1 << 8,    // one word, "on" or "off"
  kAny = 1 << 9,     // any number
  k1More = 1 << 10,  // one or more
  k2More = 1 << 11,
  kBlock = 1 << 12,  // followed by { }
  kTake12 = kTake1 | kTake2,
  kTake13 = kTake1 | kTake3,
  kTake23 = kTake2 | kTake3,
  kTake123 = kTake12 | kTake3,
  kTake34 = kTake3 | kTake4,
  kTake1234 = kTake123 | kTake4,
};

enum class Support : uint8_t {
  kInForce,      // does what nginx's documentation says
  kNoEffect,     // accepted; Bulkhead needs no such setting, or works without the feature
  kWarned,       // accepted; the missing feature changes answers, so -t warns
  kUnsupported,  // accepted; the location answers 503, because ignoring it would be unsafe
  kRefused,      // an error: nothing safe can be done without it
};

// How a value comes down from http to server to location.
enum class Merge : uint8_t {
  kNotMerged,    // belongs to its block only
  kOverride,     // own value, else the outer block's, else the default
  kReplaceList,  // own list replaces the outer one as a whole
  kAppend,       // every mention counts, in order
};

enum class ReloadEffect : uint8_t { kServing /* next request */, kSockets, kLogs, kRestart };

using Setter = void (*)(Builder&, const Directive&);

struct DirectiveRow {
  std::string_view name;
  uint32_t contexts = 0;
  uint32_t arguments = 0;
  Support support = Support::kInForce;
  Setter set = nullptr;            // kInForce, and others that look at their words
  std::string_view default_value;  // as the documentation writes it; "" for none
  Merge merge = Merge::kOverride;
  ReloadEffect reload = ReloadEffect::kServing;
  std::string_view help;       // one line; for kUnsupported and kRefused: what is missing
  bool bulkhead_only = false;  // unknown to Dialect::kNginx
};

// All rows, sorted by name; a name may have several rows with different contexts.
std::span<const DirectiveRow> directive_table();
// The rows of one name; empty for an unknown directive.
std::span<const DirectiveRow> find_directives(std::string_view name);

// "http, server, location" for messages and the manual.
std::string context_names(uint32_t contexts);
// The reference manual in Markdown, made from the table.
std::string reference_manual();
// One directive name per line, for shell completion.
std::string completion_words();

}  // namespace bulkhead::config
