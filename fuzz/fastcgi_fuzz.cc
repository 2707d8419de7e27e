// Links: bulkhead_http
//
// FastCGI as front reads it: an application's records as a client, a web server's as a server.
// Beyond memory safety: pieces of any size give the same events.
#include <cstdlib>
#include <string>

#include "http/fastcgi.h"

namespace {

using namespace bulkhead::http::fcgi;

void must(bool holds) {
  if (!holds) std::abort();
}

// The events of a decoder, with the data of neighbouring events of one kind joined.
template <class Decoder>
std::string run(std::string_view bytes, size_t piece_size) {
  Decoder decoder;
  std::string log;
  int last = -1;
  for (size_t at = 0; at < bytes.size();) {
    const auto out = decoder.decode(bytes.substr(at, piece_size));
    at += out.consumed;
    must(at <= bytes.size());
    const int event = static_cast<int>(out.event);
    if (out.event == Decoder::Event::kMore) {
      must(out.consumed > 0 || bytes.empty());
      continue;
    }
    if (event != last || out.data.empty()) log += '<' + std::to_string(event) + '>';
    log += out.data;
    last = event;
    if (out.event == Decoder::Event::kError) {
      must(decoder.error() != DecodeError::kNone);
      return log;
    }
    if constexpr (requires { decoder.finish_request(); }) {
      must(decoder.params().size() <= Decoder::kParamsMax);
      must(decoder.values().size() <= Decoder::kValuesMax);
      if (out.event == Decoder::Event::kStdinEnd) decoder.finish_request();
    }
  }
  return log;
}

void fuzz_pairs(std::string_view bytes) {
  PairReader in(bytes);
  std::string_view name, value;
  std::string again;
  while (in.next(name, value)) append_pair(again, name, value);
  must(again.size() <= bytes.size());
  PairReader back(again);
  while (back.next(name, value)) {
  }
  must(!back.broken());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  must(run<ClientDecoder>(bytes, size + 1) == run<ClientDecoder>(bytes, 1));
  must(run<ServerDecoder>(bytes, size + 1) == run<ServerDecoder>(bytes, 1));
  fuzz_pairs(bytes);
  std::string stream;
  append_stream(stream, Type::kStdout, 1, bytes);
  std::string round = run<ClientDecoder>(stream, 1000);
  must(bytes.empty() || round == "<1>" + std::string(bytes));
  return 0;
}
