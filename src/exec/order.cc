#include "exec/order.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "exec/protocol.h"

namespace bulkhead::exec {
namespace {

// Form: four texts, then the number of words, the words, then the environment to the end; each
// followed by NUL.  A NUL can be in none of them, so nothing else has to be said about sizes.
constexpr size_t kWordsMax = 65'536;

Status put(std::string_view text, std::string* out) {
  if (text.find('\0') != std::string_view::npos) return fail("a NUL byte in the command");
  out->append(text).push_back('\0');
  if (out->size() > kOrderBytesMax) {
    return fail_errno("the command and its environment are larger than " +
                          std::to_string(kOrderBytesMax) + " bytes",
                      E2BIG);
  }
  return {};
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  Result<std::string> next() {
    const size_t end = rest_.find('\0');
    if (end == std::string_view::npos) return fail("the order ends in the middle of a word");
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }

 private:
  std::string_view rest_;
};

Result<size_t> number(const std::string& text) {
  size_t value = 0;
  if (text.empty() || text.size() > 6) return fail("the order has no count of words");
  for (char c : text) {
    if (c < '0' || c > '9') return fail("the order's count of words is no number");
    value = value * 10 + static_cast<size_t>(c - '0');
  }
  if (value == 0 || value > kWordsMax) return fail("the order has no command, or too many words");
  return value;
}

}  // namespace

Result<std::string> encode(const Order& order) {
  if (order.argv.empty() || order.argv.size() > kWordsMax) {
    return fail("no command, or too many words");
  }
  std::string out;
  for (const std::string* text :
       {&order.directory, &order.hint, &order.terminal_type, &order.language}) {
    TRY_STATUS(put(*text, &out));
  }
  TRY_STATUS(put(std::to_string(order.argv.size()), &out));
  for (const std::string& word : order.argv) TRY_STATUS(put(word, &out));
  for (const std::string& variable : order.env) {
    const size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail("\"" + variable + "\" is not NAME=value");
    }
    TRY_STATUS(put(variable, &out));
  }
  return out;
}

Result<Order> decode(std::string_view bytes) {
  if (bytes.size() > kOrderBytesMax) return fail("the order is too large");
  Reader reader(bytes);
  Order order;
  for (std::string* text : {&order.directory, &order.hint, &order.terminal_type, &order.language}) {
    *text = TRY(reader.next());
  }
  const size_t words = TRY(number(TRY(reader.next())));
  for (size_t i = 0; i < words; ++i) order.argv.push_back(TRY(reader.next()));
  while (!reader.done()) {
    std::string variable = TRY(reader.next());
    const size_t equals = variable.find('=');
    if (equals == 0 || equals == std::string::npos) return fail("a variable without a name");
    order.env.push_back(std::move(variable));
  }
  return order;
}

Result<std::string> read_sealed(sys::FdRef memory, size_t bytes) {
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return fail("the order is not in sealed memory");
  struct stat facts {};
  if (::fstat(memory.get(), &facts) < 0) return fail_errno("fstat() of the order failed");
  if (bytes > kOrderBytesMax || facts.st_size != static_cast<off_t>(bytes)) {
    return fail("the order is not as large as it says");
  }
  std::string out(bytes, '\0');
  for (size_t at = 0; at < bytes;) {
    const ssize_t n = ::pread(memory.get(), out.data() + at, bytes - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("pread() of the order failed");
    at += static_cast<size_t>(n);
  }
  return out;
}

}  // namespace bulkhead::exec
