// What is said while a command runs in a site.
//
// Three parties, two conversations:
//  1. The door (unix stream socket, anybody may connect).  Caller -> master: Question, then the
//     site's name.  Master -> caller: Answer, then text; with verdict kGo a descriptor, the
//     session. Master takes no descriptor, no path and no command from the caller: only the name.
//  2. The session (SOCK_SEQPACKET, made by master, one end with the caller, one with the pool).
//     Caller -> pool: Order once, with descriptors; then signals.  Pool -> caller: one Outcome.
//
// Runs in: bulkhead (caller), master (door), pool (session).  Input: master treats the question as
// hostile; the pool treats the order as its own site's; the caller treats an Outcome as hostile.
#pragma once

#include <cstdint>

namespace bulkhead::exec {

constexpr uint32_t kVersion = 1;
constexpr uint32_t kSiteNameMax = 255;        // bytes of a question's name
constexpr uint32_t kAnswerTextMax = 2048;     // bytes of an answer's or outcome's text
constexpr uint32_t kOrderBytesMax = 1 << 20;  // argv, environment and directories together

struct Question {
  uint32_t version;
  uint32_t name_size;  // 1..kSiteNameMax bytes follow
};
static_assert(sizeof(Question) == 8);

enum class Verdict : uint32_t { kGo, kRefused };
struct Answer {
  Verdict verdict;
  uint32_t uid, gid;   // kGo: the site's user, who gets the pty
  uint32_t text_size;  // kRefused: why, in words
};
static_assert(sizeof(Answer) == 16);

enum class SessionOp : uint32_t {
  kOrder = 1,    // caller -> pool: sealed memory with the order (order.h), descriptors 0, 1, 2 of
                 // the command, and the program when OrderMessage::has_program
  kSignal = 2,   // caller -> pool: send `value` to the command's process group
  kOutcome = 3,  // pool -> caller: wait status in `value`
  kRefused = 4,  // pool -> caller: errno in `value`, then text
};
struct SessionMessage {
  SessionOp op;
  int32_t value;
};
static_assert(sizeof(SessionMessage) == 8);
struct OrderMessage {
  SessionMessage head;
  uint32_t bytes;         // of the sealed memory
  uint32_t has_terminal;  // descriptor 0 is a terminal that the command shall be led by
  uint32_t has_program;
};
static_assert(sizeof(OrderMessage) == 20);

}  // namespace bulkhead::exec
