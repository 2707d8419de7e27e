// Records and pairs of FastCGI, and the client's decoder.  The server's is in fastcgi_server.cc.
//
// Runs in: front.  Input: bytes of web servers and applications, hostile.
#include "http/fastcgi.h"

#include <algorithm>
#include <cstring>

#include "http/ascii.h"

namespace bulkhead::http::fcgi {
namespace {

constexpr char kZeros[8] = {};

char low_byte(uint64_t value) { return static_cast<char>(value & 0xff); }

void append_size(std::string& out, size_t size) {
  if (size < 128) {
    out += low_byte(size);
    return;
  }
  out += low_byte((size >> 24) | 0x80);
  out += low_byte(size >> 16);
  out += low_byte(size >> 8);
  out += low_byte(size);
}

}  // namespace

Header read_header(const char* bytes) {
  const auto* b = reinterpret_cast<const unsigned char*>(bytes);
  Header header;
  header.version = b[0];
  header.type = static_cast<Type>(b[1]);
  header.request_id = static_cast<uint16_t>(b[2] << 8 | b[3]);
  header.content_size = static_cast<uint16_t>(b[4] << 8 | b[5]);
  header.padding_size = b[6];
  return header;
}

void write_header(char* out, Type type, uint16_t request_id, size_t content_size, size_t padding) {
  out[0] = static_cast<char>(kVersion);
  out[1] = static_cast<char>(type);
  out[2] = low_byte(request_id >> 8);
  out[3] = low_byte(request_id);
  out[4] = low_byte(content_size >> 8);
  out[5] = low_byte(content_size);
  out[6] = low_byte(padding);
  out[7] = 0;
}

void append_record(std::string& out, Type type, uint16_t request_id, std::string_view content) {
  const size_t padding = padding_for(content.size());
  char header[kHeaderSize];
  write_header(header, type, request_id, content.size(), padding);
  out.append(header, sizeof header).append(content).append(kZeros, padding);
}

void append_begin_request(std::string& out, uint16_t request_id, Role role, KeepConn keep) {
  const auto number = static_cast<uint16_t>(role);
  const char body[8] = {low_byte(number >> 8), low_byte(number), static_cast<char>(keep)};
  append_record(out, Type::kBeginRequest, request_id, std::string_view(body, sizeof body));
}

void append_end_request(std::string& out, uint16_t request_id, uint32_t app_status,
                        ProtocolStatus status) {
  const char body[8] = {low_byte(app_status >> 24), low_byte(app_status >> 16),
                        low_byte(app_status >> 8), low_byte(app_status), static_cast<char>(status)};
  append_record(out, Type::kEndRequest, request_id, std::string_view(body, sizeof body));
}

void append_unknown_type(std::string& out, uint8_t type) {
  const char body[8] = {static_cast<char>(type)};
  append_record(out, Type::kUnknownType, 0, std::string_view(body, sizeof body));
}

void append_pair(std::string& out, std::string_view name, std::string_view value) {
  append_size(out, name.size());
  append_size(out, value.size());
  out.append(name).append(value);
}

void append_stream(std::string& out, Type type, uint16_t request_id, std::string_view content) {
  // A multiple of 8, so that only the last record is padded.
  constexpr size_t kPieceMax = kContentMax - kContentMax % 8;
  while (!content.empty()) {
    const std::string_view piece = content.substr(0, kPieceMax);
    append_record(out, type, request_id, piece);
    content.remove_prefix(piece.size());
  }
}

void append_stream_end(std::string& out, Type type, uint16_t request_id) {
  append_record(out, type, request_id, {});
}

bool PairReader::read_size(uint32_t& size) {
  if (rest_.empty()) return false;
  const auto* b = reinterpret_cast<const unsigned char*>(rest_.data());
  if (b[0] < 128) {
    size = b[0];
    rest_.remove_prefix(1);
    return true;
  }
  if (rest_.size() < 4) return false;
  size = uint32_t{b[0] & 0x7fu} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  rest_.remove_prefix(4);
  return true;
}

bool PairReader::next(std::string_view& name, std::string_view& value) {
  if (rest_.empty() || broken_) return false;
  uint32_t name_size = 0, value_size = 0;
  if (!read_size(name_size) || !read_size(value_size) ||
      uint64_t{name_size} + value_size > rest_.size()) {
    broken_ = true;
    return false;
  }
  name = rest_.substr(0, name_size);
  value = rest_.substr(name_size, value_size);
  rest_.remove_prefix(name_size + value_size);
  return true;
}

Piece RecordSplitter::next(std::string_view input) {
  size_t used = 0;
  if (state_ == State::kPadding) {
    const size_t size = std::min<size_t>(left_, input.size());
    left_ -= static_cast<uint32_t>(size);
    used = size;
    if (left_ > 0) return {Piece::Kind::kMore, used, {}, header_};
    state_ = State::kHeader;
  }
  if (state_ == State::kHeader) {
    const size_t size = std::min(kHeaderSize - header_bytes_, input.size() - used);
    std::memcpy(raw_ + header_bytes_, input.data() + used, size);
    header_bytes_ = static_cast<uint8_t>(header_bytes_ + size);
    used += size;
    if (header_bytes_ < kHeaderSize) return {Piece::Kind::kMore, used, {}, header_};
    header_bytes_ = 0;
    header_ = read_header(raw_);
    left_ = header_.content_size;
    state_ = left_ == 0 ? State::kEndOfContent : State::kContent;
  }
  if (state_ == State::kContent) {
    const std::string_view data = input.substr(used, left_);
    left_ -= static_cast<uint32_t>(data.size());
    used += data.size();
    if (left_ == 0) state_ = State::kEndOfContent;
    return {data.empty() ? Piece::Kind::kMore : Piece::Kind::kContent, used, data, header_};
  }
  left_ = header_.padding_size;
  state_ = left_ == 0 ? State::kHeader : State::kPadding;
  return {Piece::Kind::kRecordEnd, used, {}, header_};
}

DecodeError ClientDecoder::check_header(const Header& header) {
  if (header.version != kVersion) {
    bad_value_ = header.version;
    return DecodeError::kVersion;
  }
  if (header.type != Type::kStdout && header.type != Type::kStderr &&
      header.type != Type::kEndRequest) {
    bad_value_ = static_cast<uint8_t>(header.type);
    return DecodeError::kType;
  }
  if (header.request_id != id_) {
    const bool high = header.request_id >> 8 != id_ >> 8;
    bad_value_ = static_cast<uint8_t>(high ? header.request_id >> 8 : header.request_id);
    bad_high_byte_ = high;
    return DecodeError::kRequestId;
  }
  return ended_ ? DecodeError::kOrder : DecodeError::kNone;
}

ClientDecoder::Output ClientDecoder::decode(std::string_view input) {
  if (error_ != DecodeError::kNone) return {Event::kError, 0, {}};
  size_t used = 0;
  for (;;) {
    const Piece piece = splitter_.next(input.substr(used));
    used += piece.consumed;
    if (piece.kind == Piece::Kind::kMore) return {Event::kMore, used, {}};
    error_ = check_header(piece.header);
    if (error_ != DecodeError::kNone) return {Event::kError, used, {}};
    const bool is_end = piece.header.type == Type::kEndRequest;
    if (piece.kind == Piece::Kind::kRecordEnd) {
      if (is_end) {
        const auto* b = reinterpret_cast<const unsigned char*>(end_body_);
        app_status_ = uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
        protocol_status_ = static_cast<ProtocolStatus>(b[4]);
        ended_ = true;
        return {Event::kEnd, used, {}};
      }
      const bool is_empty = piece.header.content_size == 0;
      if (is_empty && piece.header.type == Type::kStdout) return {Event::kStdoutEnd, used, {}};
      continue;
    }
    if (!is_end) {
      const bool is_stdout = piece.header.type == Type::kStdout;
      return {is_stdout ? Event::kStdout : Event::kStderr, used, piece.data};
    }
    const size_t size = std::min(piece.data.size(), sizeof end_body_ - end_bytes_);
    std::memcpy(end_body_ + end_bytes_, piece.data.data(), size);
    end_bytes_ = static_cast<uint8_t>(end_bytes_ + size);
  }
}

std::string ClientDecoder::error_text() const {
  std::string out;
  switch (error_) {
    case DecodeError::kVersion:
      out = "upstream sent unsupported FastCGI protocol version: ";
      break;
    case DecodeError::kType:
      out = "upstream sent invalid FastCGI record type: ";
      break;
    case DecodeError::kRequestId:
      out = bad_high_byte_ ? "upstream sent unexpected FastCGI request id high byte: "
                           : "upstream sent unexpected FastCGI request id low byte: ";
      break;
    case DecodeError::kOrder:
      return "upstream sent a FastCGI record after the end of the request";
    default:
      return out;
  }
  append_number(out, bad_value_);
  return out;
}

}  // namespace bulkhead::http::fcgi
