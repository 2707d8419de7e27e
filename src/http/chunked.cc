#include "http/chunked.h"

#include <algorithm>
#include <charconv>

#include "http/ascii.h"

namespace bulkhead::http {

ChunkedDecoder::Output ChunkedDecoder::decode(std::string_view input) {
  for (size_t i = 0; i < input.size();) {
    if (state_ == State::kDone) return {Step::kDone, i, {}};
    if (state_ == State::kError) return {Step::kError, i, {}};
    if (state_ == State::kData) {
      const size_t size = static_cast<size_t>(std::min<uint64_t>(remaining_, input.size() - i));
      remaining_ -= size;
      if (remaining_ == 0) state_ = State::kDataCr;
      return {Step::kData, i + size, input.substr(i, size)};
    }
    if (!step(input[i])) {
      state_ = State::kError;
      return {Step::kError, i, {}};
    }
    ++i;
  }
  if (state_ == State::kDone) return {Step::kDone, input.size(), {}};
  if (state_ == State::kError) return {Step::kError, input.size(), {}};
  return {Step::kMore, input.size(), {}};
}

bool ChunkedDecoder::step(char c) {
  switch (state_) {
    case State::kSizeStart:
    case State::kSize:
    case State::kSizeSpace:
    case State::kExtension:
      return step_size(c);
    case State::kSizeLf:
      if (c != '\n') return false;
      state_ = remaining_ == 0 ? State::kTrailerStart : State::kData;
      return true;
    case State::kDataCr:
      state_ = State::kDataLf;
      return c == '\r';
    case State::kDataLf:
      state_ = State::kSizeStart;
      return c == '\n';
    default:
      return step_trailer(c);
  }
}

// The line "SIZE[;extension]", up to its CR.
bool ChunkedDecoder::step_size(char c) {
  if (c == '\r' && state_ != State::kSizeStart) {
    state_ = State::kSizeLf;
    return true;
  }
  if (state_ == State::kExtension) {
    return ++extension_ <= kExtensionMax && c != '\n' && c != '\0';
  }
  const int digit = hex_value(c);
  if (state_ == State::kSizeStart) {
    if (digit < 0) return false;
    remaining_ = 0;
    extension_ = 0;
    state_ = State::kSize;
  }
  if (digit >= 0) {
    if (state_ != State::kSize || remaining_ > (uint64_t{INT64_MAX} >> 4)) return false;
    remaining_ = remaining_ * 16 + static_cast<uint64_t>(digit);
    return true;
  }
  if (c == ';') {
    state_ = State::kExtension;
    return true;
  }
  state_ = State::kSizeSpace;
  return (c == ' ' || c == '\t') && ++extension_ <= kExtensionMax;
}

// Trailer lines are checked for framing only, and thrown away.
bool ChunkedDecoder::step_trailer(char c) {
  if (++trailer_ > kTrailerMax) return false;
  switch (state_) {
    case State::kTrailerStart:
      state_ = c == '\r' ? State::kEndLf : State::kTrailer;
      return c != '\n' && c != '\0';
    case State::kTrailer:
      if (c == '\r') state_ = State::kTrailerLf;
      return c != '\n' && c != '\0';
    case State::kTrailerLf:
      state_ = State::kTrailerStart;
      return c == '\n';
    default:  // kEndLf
      state_ = State::kDone;
      return c == '\n';
  }
}

size_t write_chunk_header(char* out, uint64_t size) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - out);
}

}  // namespace bulkhead::http
