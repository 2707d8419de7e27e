// What an application hears from a web server: ServerDecoder.
//
// Runs in: front, for the pools' listen sockets.  Input: any process that may connect; hostile.
#include <algorithm>
#include <cstring>

#include "http/fastcgi.h"

namespace bulkhead::http::fcgi {

DecodeError ServerDecoder::check_header(const Header& header) const {
  if (header.version != kVersion) return DecodeError::kVersion;
  if (header.request_id == 0) {
    const bool is_values = header.type == Type::kGetValues;
    return is_values && header.content_size > kValuesMax ? DecodeError::kSize : DecodeError::kNone;
  }
  switch (header.type) {
    case Type::kBeginRequest:
      return header.content_size == 8 ? DecodeError::kNone : DecodeError::kSize;
    case Type::kParams:
      if (!is_active(header)) return DecodeError::kNone;
      return phase_ == Phase::kParams ? DecodeError::kNone : DecodeError::kOrder;
    case Type::kStdin:
      if (!is_active(header)) return DecodeError::kNone;
      return phase_ == Phase::kParams ? DecodeError::kOrder : DecodeError::kNone;
    case Type::kAbortRequest:
    case Type::kData:
      return DecodeError::kNone;
    default:
      return DecodeError::kType;
  }
}

ServerDecoder::Output ServerDecoder::decode(std::string_view input) {
  if (error_ != DecodeError::kNone) return {Event::kError, 0, {}};
  if (values_done_) values_.clear();
  values_done_ = false;
  Output out;
  for (;;) {
    const Piece piece = splitter_.next(input.substr(out.consumed));
    out.consumed += piece.consumed;
    if (piece.kind == Piece::Kind::kMore) return out;
    error_ = check_header(piece.header);
    if (error_ == DecodeError::kNone) {
      error_ = piece.kind == Piece::Kind::kContent ? take_content(piece, out)
                                                   : take_record_end(piece, out);
    }
    if (error_ != DecodeError::kNone) out.event = Event::kError;
    if (out.event != Event::kMore) return out;
  }
}

DecodeError ServerDecoder::take_content(const Piece& piece, Output& out) {
  if (piece.header.request_id == 0) {
    if (piece.header.type == Type::kGetValues) values_ += piece.data;
    return DecodeError::kNone;
  }
  if (piece.header.type == Type::kBeginRequest) {
    const size_t size = std::min(piece.data.size(), sizeof fixed_ - fixed_bytes_);
    std::memcpy(fixed_ + fixed_bytes_, piece.data.data(), size);
    fixed_bytes_ = static_cast<uint8_t>(fixed_bytes_ + size);
    return DecodeError::kNone;
  }
  if (!is_active(piece.header)) return DecodeError::kNone;
  if (piece.header.type == Type::kParams) {
    if (piece.data.size() > kParamsMax - buffer_.size()) return DecodeError::kParamsTooLarge;
    buffer_ += piece.data;
  } else if (piece.header.type == Type::kStdin && phase_ == Phase::kStdin) {
    out.event = Event::kStdin;
    out.data = piece.data;
  }
  return DecodeError::kNone;
}

DecodeError ServerDecoder::take_record_end(const Piece& piece, Output& out) {
  const Header& header = piece.header;
  if (header.request_id == 0) {
    unknown_type_ = static_cast<uint8_t>(header.type);
    out.event = header.type == Type::kGetValues ? Event::kGetValues : Event::kUnknownType;
    values_done_ = true;
    return DecodeError::kNone;
  }
  if (header.type == Type::kBeginRequest) return take_begin(header, out);
  if (!is_active(header)) return DecodeError::kNone;
  const bool ends_stream = header.content_size == 0;
  if (header.type == Type::kParams && ends_stream) {
    PairReader pairs(buffer_);
    std::string_view name, value;
    while (pairs.next(name, value)) {
    }
    if (pairs.broken()) return DecodeError::kParams;
    phase_ = Phase::kStdin;
    out.event = Event::kParams;
  } else if (header.type == Type::kStdin && ends_stream && phase_ == Phase::kStdin) {
    phase_ = Phase::kBody;
    out.event = Event::kStdinEnd;
  } else if (header.type == Type::kAbortRequest) {
    out.event = Event::kAbort;
  }
  return DecodeError::kNone;
}

DecodeError ServerDecoder::take_begin(const Header& header, Output& out) {
  fixed_bytes_ = 0;
  if (phase_ != Phase::kIdle) {
    if (header.request_id == id_) return DecodeError::kOrder;
    refused_id_ = header.request_id;
    out.event = Event::kBeginRefused;
    return DecodeError::kNone;
  }
  id_ = header.request_id;
  role_ = static_cast<uint16_t>(static_cast<unsigned char>(fixed_[0]) << 8 |
                                static_cast<unsigned char>(fixed_[1]));
  keep_ = (fixed_[2] & 1) != 0 ? KeepConn::kYes : KeepConn::kNo;
  buffer_.clear();
  phase_ = Phase::kParams;
  out.event = Event::kBegin;
  return DecodeError::kNone;
}

void ServerDecoder::finish_request() { phase_ = Phase::kIdle; }

}  // namespace bulkhead::http::fcgi
