// Transfer-Encoding: chunked, both ways.
//
// Runs in: front.  Input: request bodies from the network, hostile.
// Stricter than nginx 1.22: chunk lines must end in CRLF, because a bare LF there is read
// differently by other servers and so smuggles.  Ref: RFC 9112 7.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bulkhead::http {

class ChunkedDecoder {
 public:
  static constexpr size_t kExtensionMax = 4096;  // of one chunk
  static constexpr size_t kTrailerMax = 8192;    // all trailers together

  enum class Step : uint8_t {
    kMore,   // all input consumed, more is needed
    kData,   // `data` holds body bytes
    kDone,   // the body ended; input after `consumed` is the next request
    kError,  // invalid; answer 400
  };
  struct Output {
    Step step = Step::kMore;
    size_t consumed = 0;    // bytes of the input this step used (framing and data)
    std::string_view data;  // a piece of the input, for kData
  };

  // Decodes until the next piece of data, the end, an error or the end of input.
  Output decode(std::string_view input);
  void clear() { *this = ChunkedDecoder(); }

  // Data bytes of the current chunk still to come: with what was received, a lower bound of the
  // body's size, so that a limit can refuse a chunk before it arrives.
  [[nodiscard]] uint64_t remaining_in_chunk() const { return remaining_; }
  [[nodiscard]] bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kSizeStart,
    kSize,
    kSizeSpace,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
    kError,
  };
  bool step(char c);
  bool step_size(char c);
  bool step_trailer(char c);

  State state_ = State::kSizeStart;
  uint64_t remaining_ = 0;
  uint32_t extension_ = 0, trailer_ = 0;
};

// "1f4\r\n" for a chunk of `size` bytes; returns its length (<= kChunkHeaderMax).
constexpr size_t kChunkHeaderMax = 18;
size_t write_chunk_header(char* out, uint64_t size);
constexpr std::string_view kChunkEnd = "\r\n";        // after each chunk's data
constexpr std::string_view kLastChunk = "0\r\n\r\n";  // after the last chunk

}  // namespace bulkhead::http
