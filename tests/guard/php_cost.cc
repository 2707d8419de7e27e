// A worker's own work for so many requests of a script, for a tool that counts instructions: from
// the parameters of the request to the last byte, without the ring.
//
// Runs in: tests/guard alone.  usage: php_cost SCRIPT COUNT
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "php/engine.h"

namespace {

using namespace bulkhead::php;

class Request final : public RequestSource {
 public:
  explicit Request(const std::string& script) {
    const std::string root = script.substr(0, script.rfind('/'));
    const std::string name = script.substr(root.size());
    add("SCRIPT_FILENAME", script);
    add("QUERY_STRING", "");
    add("REQUEST_METHOD", "GET");
    add("CONTENT_TYPE", "");
    add("CONTENT_LENGTH", "");
    add("SCRIPT_NAME", name);
    add("REQUEST_URI", name);
    add("DOCUMENT_URI", name);
    add("DOCUMENT_ROOT", root);
    add("SERVER_PROTOCOL", "HTTP/1.1");
    add("REMOTE_ADDR", "127.0.0.1");
    add("SERVER_NAME", "localhost");
    add("HTTP_HOST", "localhost");
    add("HTTP_USER_AGENT", "guard");
    for (const auto& [key, value] : texts_) {
      views_.push_back({key.c_str(), static_cast<uint32_t>(key.size()), value.c_str(),
                        static_cast<uint32_t>(value.size())});
    }
  }
  std::span<const Param> params() const noexcept override { return views_; }
  size_t read_body(char*, size_t) noexcept override { return 0; }
  bool write_head(std::string_view) noexcept override { return true; }
  bool write_body(std::string_view bytes) noexcept override {
    body.append(bytes);
    return true;
  }
  bool write_stderr(std::string_view text) noexcept override {
    fwrite(text.data(), 1, text.size(), stderr);
    return true;
  }
  bool flush() noexcept override { return true; }
  void finish(const Usage&, Finish) noexcept override {}
  std::string body;

 private:
  void add(const char* name, const std::string& value) { texts_.emplace_back(name, value); }
  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<Param> views_;
};

class Hooks final : public RequestHooks {
 public:
  void on_info(const RequestView&) noexcept override {}
  bool answer(const RequestView&, Answer*) noexcept override { return false; }
  void on_executing() noexcept override {}
  void on_end(int, uint64_t) noexcept override {}
  uint32_t cpu_us() noexcept override { return 0; }
  bool status(PoolStatus*) noexcept override { return false; }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  StartOptions options;
  options.no_ini = true;  // the same everywhere, whatever extensions a machine has
  options.defines = {"zend_extension=opcache.so", "opcache.file_update_protection=0",
                     "opcache.revalidate_freq=3600"};
  if (!start(options)) return 1;
  apply_pool(
      {}, [](LogLevel, std::string_view, void*) {}, nullptr);
  enter_worker();
  Request request(argv[1]);
  Hooks hooks;
  for (long left = atol(argv[2]); left > 0; --left) {
    request.body.clear();
    if (serve(request, hooks) != Served::kDone || request.body != "Hello, world\n") {
      fprintf(stderr, "%s was answered with \"%s\"\n", argv[1], request.body.c_str());
      return 1;
    }
  }
  return 0;
}
