// Every message of stock nginx that was observed (nginx_wording.txt) is ours too, to the letter.
#include <fstream>

#include "config/nginx_test_support.h"

namespace bulkhead::config {
namespace {

struct Case {
  char kind;
  std::string text;
  std::vector<std::string> messages;
};

std::string unescape(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      out += line[i];
    } else {
      ++i;
      out += line[i] == 'n' ? '\n' : line[i];
    }
  }
  return out;
}

std::vector<Case> read_cases() {
  std::string path = __FILE__;
  std::ifstream in(path.substr(0, path.rfind('/')) + "/nginx_wording.txt");
  std::vector<Case> cases;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '\t') {
      cases.back().messages.push_back(line.substr(1));
    } else {
      cases.push_back({line[0], unescape(std::string_view(line).substr(2)), {}});
    }
  }
  return cases;
}

std::string wrap(char kind, const std::string& text) {
  if (kind == 'M') return text;
  std::string inner = text;
  if (kind == 'L') inner = "location / {\n" + inner + "\n}";
  if (kind != 'H') inner = "server{\nlisten 127.0.0.1:18080;\n" + inner + "\n}";
  return "events{}\nhttp{\n" + inner + "\n}\n";
}

std::vector<std::string> messages_of(const Built& built) {
  std::vector<std::string> out;
  for (const ConfigError& message : built.messages) {
    std::string line = message.level == LogLevel::kEmerg ? "[emerg] " : "[warn] ";
    line += message.describe();
    for (size_t at = 0; (at = line.find("/P/", at)) != std::string::npos;) line.erase(at, 1);
    out.push_back(std::move(line));
  }
  return out;
}

TEST(NginxWording, IsThatOfStockNginx) {
  std::vector<Case> cases = read_cases();
  ASSERT_GT(cases.size(), 600U);
  for (const Case& item : cases) {
    Built built = build_text(wrap(item.kind, item.text), Dialect::kNginx);
    EXPECT_EQ(messages_of(built), item.messages) << item.kind << " " << item.text;
  }
}

}  // namespace
}  // namespace bulkhead::config
