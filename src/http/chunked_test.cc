#include "http/chunked.h"

#include <gtest/gtest.h>

#include <string>

namespace bulkhead::http {
namespace {

using Step = ChunkedDecoder::Step;

struct Decoded {
  std::string data;
  Step step = Step::kMore;
  size_t used = 0;
};

Decoded decode(std::string_view input, size_t piece_size) {
  ChunkedDecoder decoder;
  Decoded out;
  for (size_t at = 0; at < input.size();) {
    std::string_view piece = input.substr(at, piece_size);
    while (!piece.empty()) {
      const auto result = decoder.decode(piece);
      out.data += result.data;
      out.step = result.step;
      out.used = at += result.consumed;
      if (out.step == Step::kDone || out.step == Step::kError) return out;
      piece.remove_prefix(result.consumed);
    }
  }
  return out;
}

TEST(Chunked, DecodesWholeAndByteByByte) {
  constexpr std::string_view kBody =
      "5\r\nhello\r\n1;name=\"x\"\r\n,\r\nA \r\n0123456789\r\n000\r\nX: y\r\n\r\nNEXT";
  for (size_t piece : {1, 3, 1000}) {
    const Decoded d = decode(kBody, piece);
    EXPECT_EQ(d.step, Step::kDone);
    EXPECT_EQ(d.data, "hello,0123456789");
    EXPECT_EQ(kBody.substr(d.used), "NEXT");
  }
}

TEST(Chunked, RefusesBrokenFraming) {
  for (std::string_view bad : {"\r\n", "x\r\n", "-1\r\n", "5\nhello", "1\r\nab", "1\r\na\nx",
                               "1\r\na\r\r\n", "1 2\r\n", "1;a\n", "1\rX", "0\r\n\n", "0\r\nA\n",
                               "0\r\n\rX", "0x1\r\n", " 1\r\n", "\n1\r\n", "1\r\na\r\n\r\n"}) {
    EXPECT_EQ(decode(bad, 1000).step, Step::kError) << bad;
    EXPECT_EQ(decode(bad, 1).step, Step::kError) << bad;
  }
}

TEST(Chunked, LimitsSizesExtensionsAndTrailers) {
  EXPECT_EQ(decode("7fffffffffffffff\r\n", 99).step, Step::kMore);
  EXPECT_EQ(decode("8000000000000000\r\n", 99).step, Step::kError);
  EXPECT_EQ(decode("fffffffffffffffff\r\n", 99).step, Step::kError);
  const std::string fits(ChunkedDecoder::kExtensionMax, 'x');
  EXPECT_EQ(decode("1;" + fits + "\r\n", 99).step, Step::kMore);
  EXPECT_EQ(decode("1;x" + fits + "\r\n", 99).step, Step::kError);
  const std::string line(ChunkedDecoder::kTrailerMax - 4, 'x');
  EXPECT_EQ(decode("0\r\n" + line + "\r\n\r\n", 99).step, Step::kDone);
  EXPECT_EQ(decode("0\r\nx" + line + "\r\n\r\n", 99).step, Step::kError);
}

TEST(Chunked, TellsWhatWillCome) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.decode("100\r\n").step, Step::kMore);
  EXPECT_EQ(decoder.remaining_in_chunk(), 256u);
  EXPECT_EQ(decoder.decode("abc").data, "abc");
  EXPECT_EQ(decoder.remaining_in_chunk(), 253u);
}

TEST(Chunked, WritesHeaders) {
  char out[kChunkHeaderMax];
  EXPECT_EQ(std::string(out, write_chunk_header(out, 0x1f4)), "1f4\r\n");
  EXPECT_EQ(write_chunk_header(out, UINT64_MAX), kChunkHeaderMax);
}

}  // namespace
}  // namespace bulkhead::http
