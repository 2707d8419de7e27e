// Hands one mail to a relay by SMTP.
//
// Runs in: bulkhead-sendmail, as the site's user.  Input: the relay's replies (bounded, checked).
// Blocks: until the relay has taken or refused the mail, each wait no longer than RFC 5321 4.5.3.2
// says.  Ref: RFC 5321; no TLS and no login: the relay is on this machine or on a network of its
// own.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "mail/message.h"
#include "mail/smtp_reply.h"

namespace bulkhead::mail {

// Why a mail was not handed in, as sysexits.h has it.
enum class Outcome : uint8_t { kSent, kTransient, kRefused, kNoHost, kProtocol };

struct Delivery {
  Outcome outcome = Outcome::kSent;
  std::vector<std::string> problems;  // one sentence each, also beside kSent (some recipients)
};

struct Submission {
  std::string relay_host;
  uint16_t relay_port = 25;
  std::string hello;   // our name for EHLO; "": the address literal of our end
  std::string sender;  // "" is the null sender
  std::vector<std::string> recipients;
  const Message* message = nullptr;
  std::chrono::milliseconds timeout_max{600'000};
};

// kSent: at least one recipient was taken (problems tell of the others).
Delivery submit(const Submission& what);

}  // namespace bulkhead::mail
