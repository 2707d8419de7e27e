// How fast a request head is parsed: bytes per second with the headers browsers send.
#include <benchmark/benchmark.h>

#include "http/request_parser.h"

namespace bulkhead::http {
namespace {

constexpr std::string_view kBrowser =
    "GET /wp-content/themes/twentytwenty/assets/css/style.css?ver=6.4.2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    "\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: wordpress_test_cookie=WP+Cookie+check; wp-settings-time-1=1700000000; _ga=GA1.1.123456"
    "789.1700000000; session=0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    "Referer: https://www.example.com/2024/01/hello-world/\r\nUpgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n"
    "Priority: u=0, i\r\n\r\n";
constexpr std::string_view kShort = "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

void parse(benchmark::State& state, std::string_view head) {
  RequestParser parser;
  for (auto _ : state) {
    parser.clear();
    benchmark::DoNotOptimize(parser.parse(head));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * head.size()));
}
void parse_browser(benchmark::State& state) { parse(state, kBrowser); }
void parse_short(benchmark::State& state) { parse(state, kShort); }
BENCHMARK(parse_browser);
BENCHMARK(parse_short);

}  // namespace
}  // namespace bulkhead::http
