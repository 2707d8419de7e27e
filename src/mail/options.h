// The command line of bulkhead-sendmail: sendmail's own flags, and ours.
//
// Runs in: bulkhead-sendmail, as the site's user.  Input: what the site calls it with (hostile).
// Ref: sendmail(8) 8.17 and Postfix sendmail(1) 3.7: which flags exist and which take a value.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"

namespace bulkhead::mail {

struct Options {
  enum class Mode { kSend, kQueue, kHelp, kVersion } mode = Mode::kSend;
  bool recipients_from_headers = false;  // -t
  bool dot_is_text = false;              // -i, -oi: a line "." does not end the message
  bool has_sender = false;               // -f, -r; "" is the null sender
  std::string sender, full_name;         // -f, -F
  std::vector<std::string> recipients;
  std::string relay = "localhost:25";              // --relay=HOST:PORT
  std::string from;                                // --from=ADDRESS: when there is no -f
  std::string site;                                // --site=NAME: said in X-Bulkhead-Site
  bool hard_failures = false;                      // --no-tempfail
  std::chrono::milliseconds timeout_max{600'000};  // --timeout=SECONDS: no wait is longer
};

// Errors: a flag that cannot be honoured or is not known; the text says which.
Result<Options> parse_options(const std::vector<std::string>& arguments);

}  // namespace bulkhead::mail
