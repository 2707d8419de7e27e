// Links: bulkhead_mail
//
// What a site hands bulkhead-sendmail and what a relay answers.  Beyond memory safety: nothing in a
// mail or an address becomes a command of SMTP or a line of somebody else's.
#include <cstdlib>
#include <string>

#include "mail/address.h"
#include "mail/message.h"
#include "mail/options.h"
#include "mail/smtp_reply.h"

namespace {

using namespace bulkhead::mail;

void must(bool holds) {
  if (!holds) std::abort();
}

void check_address(const std::string& address) {
  must(is_address(address));
  for (unsigned char c : address) must(c >= 0x20 && c != 0x7f);
}

void check_wire(const std::string& data) {
  must(data.find("\r\n.\r\n") == std::string::npos && !data.starts_with(".\r\n"));
  must(data.ends_with("\r\n"));
  size_t line = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    must(data[i] != '\0');
    if (data[i] == '\r') must(i + 1 < data.size() && data[i + 1] == '\n');
    if (data[i] == '\n') {
      must(i > 0 && data[i - 1] == '\r');
      must(line <= 1000);
      line = 0;
    } else {
      ++line;
    }
  }
}

void fuzz_message(std::string_view bytes, bool dot_ends) {
  Message message = Message::parse(bytes, dot_ends);
  std::vector<std::string> recipients;
  message.collect_recipients(&recipients);
  for (const std::string& r : recipients) check_address(r);
  message.complete({std::string(bytes.substr(0, 50)), "date", "<id>", std::string(bytes)});
  must(!message.has("Bcc") && !message.has("Return-Path") && message.has("From"));
  std::string data;
  must(message.write_data([&data](std::string_view piece) {
    data += piece;
    return true;
  }));
  check_wire(data);
  // What was sent reads the same again: no header became body, no body a header.
  std::string undotted;
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] == '.' && (i == 0 || data[i - 1] == '\n')) continue;
    undotted += data[i];
  }
  must(!Message::parse(undotted, false).has("Bcc"));
}

void fuzz_replies(std::string_view bytes) {
  ReplyReader whole, single;
  std::string a, b;
  auto run = [&bytes](ReplyReader& reader, size_t piece, std::string& log) {
    for (size_t at = 0; at < bytes.size();) {
      size_t used = 0;
      const auto step = reader.feed(bytes.substr(at, piece), &used);
      at += used;
      must(used > 0);
      if (step == ReplyReader::Step::kBroken) return;
      if (step == ReplyReader::Step::kDone) {
        const Reply reply = reader.take();
        must(reply.code >= 200 && reply.code < 600);
        (void)read_capabilities(reply.text);
        log += reply.describe() + "\n";
      }
    }
  };
  run(whole, bytes.size() + 1, a);
  run(single, 1, b);
  must(a == b);
}

void fuzz_options(std::string_view bytes) {
  std::vector<std::string> words;
  while (!bytes.empty() && words.size() < 32) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    words.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  auto options = parse_options(words);
  if (!options) return;
  if (!options->sender.empty()) check_address(options->sender);
  for (const std::string& r : options->recipients) check_address(r);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_message(bytes, false);
      break;
    case 1:
      fuzz_message(bytes, true);
      break;
    case 2:
      fuzz_replies(bytes);
      break;
    default:
      fuzz_options(bytes);
  }
  return 0;
}
