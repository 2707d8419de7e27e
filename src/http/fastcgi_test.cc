#include "http/fastcgi.h"

#include <gtest/gtest.h>

namespace bulkhead::http::fcgi {
namespace {

TEST(Records, RoundTripHeaders) {
  char raw[kHeaderSize];
  write_header(raw, Type::kStdin, 0x1234, 0xfedc, 5);
  const Header h = read_header(raw);
  EXPECT_EQ(h.version, 1);
  EXPECT_EQ(h.type, Type::kStdin);
  EXPECT_EQ(h.request_id, 0x1234);
  EXPECT_EQ(h.content_size, 0xfedc);
  EXPECT_EQ(h.padding_size, 5);
}

TEST(Records, ArePaddedToEightAndCut) {
  std::string out;
  append_record(out, Type::kStdout, 1, "abc");
  EXPECT_EQ(out.size(), 16u);
  out.clear();
  append_stream(out, Type::kStdin, 1, std::string(kContentMax + 10, 'x'));
  EXPECT_EQ(out.size() % 8, 0u);
  EXPECT_EQ(read_header(out.data()).content_size, 65528);
}

TEST(Pairs, RoundTripShortAndLong) {
  const std::string big(70000, 'v'), edge(128, 'n');
  std::string bytes;
  append_pair(bytes, "A", "");
  append_pair(bytes, edge, big);
  append_pair(bytes, std::string(127, 'm'), "x");
  PairReader in(bytes);
  std::string_view name, value;
  ASSERT_TRUE(in.next(name, value));
  EXPECT_EQ(name, "A");
  EXPECT_EQ(value, "");
  ASSERT_TRUE(in.next(name, value));
  EXPECT_EQ(name, edge);
  EXPECT_EQ(value, big);
  ASSERT_TRUE(in.next(name, value));
  EXPECT_EQ(name.size(), 127u);
  EXPECT_FALSE(in.next(name, value));
  EXPECT_FALSE(in.broken());
  PairReader cut(std::string_view(bytes).substr(0, bytes.size() - 1));
  while (cut.next(name, value)) {
  }
  EXPECT_TRUE(cut.broken());
}

TEST(Pairs, RefuseLengthsBeyondTheBuffer) {
  std::string_view name, value;
  for (std::string_view bad :
       {std::string_view("\x05\x01"
                         "ab",
                         4),
        std::string_view("\x80", 1), std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff", 8)}) {
    PairReader in(bad);
    EXPECT_FALSE(in.next(name, value));
    EXPECT_TRUE(in.broken());
  }
}

// Runs a decoder over `bytes` in pieces and writes the events down.
template <class Decoder>
std::string run(Decoder& decoder, std::string_view bytes, size_t piece_size) {
  std::string log;
  std::string last;
  for (size_t at = 0; at < bytes.size();) {
    const std::string_view piece = bytes.substr(at, piece_size);
    const auto out = decoder.decode(piece);
    at += out.consumed;
    if (out.event == Decoder::Event::kError) return log + "E";
    if (out.event == Decoder::Event::kMore) continue;
    const std::string kind(1, static_cast<char>('0' + static_cast<int>(out.event)));
    if (kind != last || out.data.empty()) log += kind;
    log += out.data;
    last = kind;
  }
  return log;
}

TEST(ClientDecoder, ReadsAResponse) {
  std::string bytes;
  append_stream(bytes, Type::kStderr, 1, "oops");
  append_stream(bytes, Type::kStdout, 1, "hello");
  append_stream_end(bytes, Type::kStdout, 1);
  append_end_request(bytes, 1, 0x01020304, ProtocolStatus::kOverloaded);
  for (size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    ClientDecoder decoder;
    EXPECT_EQ(run(decoder, bytes, piece), "2oops1hello34");
    EXPECT_EQ(decoder.app_status(), 0x01020304u);
    EXPECT_EQ(decoder.protocol_status(), ProtocolStatus::kOverloaded);
    EXPECT_TRUE(decoder.at_boundary());
  }
}

std::string client_error(std::string bytes) {
  ClientDecoder decoder;
  EXPECT_EQ(run(decoder, bytes, bytes.size()), "E");
  return decoder.error_text();
}

TEST(ClientDecoder, RefusesWhatNginxRefuses) {
  std::string bytes;
  append_record(bytes, Type::kStdout, 1, "x");
  std::string bad = bytes;
  bad[0] = 2;
  EXPECT_EQ(client_error(bad), "upstream sent unsupported FastCGI protocol version: 2");
  bad = bytes;
  bad[1] = 5;
  EXPECT_EQ(client_error(bad), "upstream sent invalid FastCGI record type: 5");
  bad = bytes;
  bad[2] = 3;
  EXPECT_EQ(client_error(bad), "upstream sent unexpected FastCGI request id high byte: 3");
  bad = bytes;
  bad[3] = 4;
  EXPECT_EQ(client_error(bad), "upstream sent unexpected FastCGI request id low byte: 4");
}

TEST(ClientDecoder, RefusesRecordsAfterTheEnd) {
  std::string bytes;
  append_end_request(bytes, 1, 0, ProtocolStatus::kComplete);
  append_record(bytes, Type::kStdout, 1, "x");
  ClientDecoder decoder;
  EXPECT_EQ(run(decoder, bytes, bytes.size()), "4E");
}

std::string request(uint16_t id = 1, KeepConn keep = KeepConn::kYes) {
  std::string pairs, bytes;
  append_pair(pairs, "SCRIPT_NAME", "/x");
  append_begin_request(bytes, id, Role::kResponder, keep);
  append_stream(bytes, Type::kParams, id, pairs);
  append_stream_end(bytes, Type::kParams, id);
  append_stream(bytes, Type::kStdin, id, "body");
  append_stream_end(bytes, Type::kStdin, id);
  return bytes;
}

TEST(ServerDecoder, ReadsRequestsOneAfterAnother) {
  const std::string bytes = request();
  for (size_t piece : {size_t{1}, size_t{9}, bytes.size()}) {
    ServerDecoder decoder;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(run(decoder, bytes, piece), "134body5");
      EXPECT_EQ(decoder.request_id(), 1);
      EXPECT_EQ(decoder.role(), 1);
      EXPECT_EQ(decoder.keep_conn(), KeepConn::kYes);
      PairReader pairs(decoder.params());
      std::string_view name, value;
      ASSERT_TRUE(pairs.next(name, value));
      EXPECT_EQ(value, "/x");
      decoder.finish_request();
    }
  }
}

TEST(ServerDecoder, RefusesASecondRequestWhileBusy) {
  ServerDecoder decoder;
  EXPECT_EQ(run(decoder, request(1) + request(2), 10000), "134body52");
  EXPECT_EQ(decoder.refused_id(), 2);
  EXPECT_EQ(run(decoder, request(1), 10000), "E");
  EXPECT_EQ(decoder.error(), DecodeError::kOrder);
}

TEST(ServerDecoder, AnswersManagementRecords) {
  std::string bytes, names;
  append_pair(names, "FCGI_MAX_CONNS", "");
  append_record(bytes, Type::kGetValues, 0, names);
  ServerDecoder decoder;
  EXPECT_EQ(run(decoder, bytes, 3), "7");
  EXPECT_EQ(decoder.values(), names);
  EXPECT_EQ(run(decoder, bytes, 1000), "7");
  EXPECT_EQ(decoder.values(), names);
  bytes.clear();
  append_record(bytes, static_cast<Type>(42), 0, "xyz");
  EXPECT_EQ(run(decoder, bytes, 1000), "8");
  EXPECT_EQ(decoder.unknown_type(), 42);
}

DecodeError server_error(const std::string& bytes) {
  ServerDecoder decoder;
  const std::string log = run(decoder, bytes, 1u << 20);
  EXPECT_TRUE(log.ends_with("E")) << log;
  return decoder.error();
}

TEST(ServerDecoder, RefusesBrokenStreams) {
  std::string begin;
  append_begin_request(begin, 1, Role::kResponder, KeepConn::kNo);
  std::string bytes = begin;
  append_stream(bytes, Type::kStdin, 1, "x");
  EXPECT_EQ(server_error(bytes), DecodeError::kOrder);
  bytes = begin;
  append_stream(bytes, Type::kParams, 1, "\x7f");
  append_stream_end(bytes, Type::kParams, 1);
  EXPECT_EQ(server_error(bytes), DecodeError::kParams);
  bytes = begin;
  append_stream_end(bytes, Type::kParams, 1);
  append_stream_end(bytes, Type::kParams, 1);
  EXPECT_EQ(server_error(bytes), DecodeError::kOrder);
  bytes.clear();
  append_record(bytes, Type::kBeginRequest, 1, "1234567");
  EXPECT_EQ(server_error(bytes), DecodeError::kSize);
  bytes.clear();
  append_record(bytes, Type::kStdout, 1, "x");
  EXPECT_EQ(server_error(bytes), DecodeError::kType);
  bytes = begin;
  bytes[0] = 0;
  EXPECT_EQ(server_error(bytes), DecodeError::kVersion);
  bytes.clear();
  append_record(bytes, Type::kGetValues, 0, std::string(ServerDecoder::kValuesMax + 1, 'x'));
  EXPECT_EQ(server_error(bytes), DecodeError::kSize);
}

TEST(ServerDecoder, LimitsParams) {
  std::string begin, pairs;
  append_begin_request(begin, 1, Role::kResponder, KeepConn::kNo);
  append_pair(pairs, "N", std::string(ServerDecoder::kParamsMax - 6, 'v'));
  ASSERT_EQ(pairs.size(), ServerDecoder::kParamsMax);
  for (const bool fits : {true, false}) {
    std::string bytes = begin;
    append_stream(bytes, Type::kParams, 1, fits ? pairs : pairs + "x");
    append_stream_end(bytes, Type::kParams, 1);
    ServerDecoder decoder;
    EXPECT_EQ(run(decoder, bytes, 1u << 20), fits ? "13" : "1E");
  }
}

TEST(ServerDecoder, TellsAborts) {
  std::string bytes;
  append_begin_request(bytes, 7, Role::kResponder, KeepConn::kNo);
  append_record(bytes, Type::kAbortRequest, 8, "");
  append_record(bytes, Type::kAbortRequest, 7, "");
  ServerDecoder decoder;
  EXPECT_EQ(run(decoder, bytes, 1000), "16");
}

}  // namespace
}  // namespace bulkhead::http::fcgi
