#include "front/response_writer.h"

#include <algorithm>
#include <cerrno>

#include "http/chunked.h"

namespace bulkhead::front {

void ResponseWriter::start(Exchange& ex, BodySource* source, const Pace& pace) {
  ex_ = &ex;
  source_ = source;
  head_sent_ = framing_sent_ = 0;
  framing_.clear();
  suffix_.clear();
  chunk_left_ = 0;
  chunked_ = ex.response.chunked && !ex.response.header_only;
  chunk_open_ = false;
  ended_ = source_ == nullptr;
  if (ended_ && chunked_) append_end();
  pace_ = pace;
  rate_started_ = {};
  error_ = 0;
}

ResponseWriter::Outcome ResponseWriter::pump(ClientSocket& socket, loop::Clock::time_point now) {
  turn_left_ = pace_.bytes_per_turn == 0 ? kTurnBytes : std::min(pace_.bytes_per_turn, kTurnBytes);
  for (;;) {
    if (ended_ && framing_left() == 0) return Outcome::kDone;
    if (!socket.writable) return Outcome::kBlocked;
    BodyRun run;
    Outcome outcome{};
    if (!ended_ && !compose(run, outcome)) return outcome;
    if (run.size > 0 && !within_rate(run, now)) return Outcome::kPaused;
    Sent sent =
        run.kind == BodyRun::Kind::kFile ? send_file(socket, run) : send_memory(socket, run);
    if (sent == Sent::kFailed) return Outcome::kFailed;
    if (sent == Sent::kTruncated) return Outcome::kBroken;
    if (sent == Sent::kBlocked) {
      socket.writable = false;
      return Outcome::kBlocked;
    }
    if (turn_left_ == 0 && !ended_) return Outcome::kYield;
  }
}

bool ResponseWriter::compose(BodyRun& run, Outcome& outcome) {
  source_->next(run);
  switch (run.kind) {
    case BodyRun::Kind::kBroken:
      outcome = Outcome::kBroken;
      return false;
    case BodyRun::Kind::kWait:
      if (run.flush && framing_left() > 0) return true;
      outcome = Outcome::kStarved;
      return false;
    case BodyRun::Kind::kEnd:
      append_end();
      ended_ = true;
      return true;
    case BodyRun::Kind::kMemory:
    case BodyRun::Kind::kFile:
      run.clip(turn_left_);
      frame(run);
      return true;
  }
  return false;
}

void ResponseWriter::frame(BodyRun& run) {
  if (!chunked_) return;
  if (chunk_left_ == 0) {
    if (framing_sent_ == framing_.size()) {
      framing_.clear();
      framing_sent_ = 0;
    }
    char header[http::kChunkHeaderMax];
    if (chunk_open_) framing_.append(http::kChunkEnd);
    framing_.append(header, http::write_chunk_header(header, run.size));
    chunk_left_ = run.size;
    chunk_open_ = true;
  } else {
    run.clip(chunk_left_);
  }
  suffix_.clear();
  if (run.last && run.size == chunk_left_ && run.kind == BodyRun::Kind::kMemory) {
    suffix_.assign(http::kChunkEnd);
    if (ex_->response.trailers.empty()) suffix_.append(http::kLastChunk);
  }
}

void ResponseWriter::append_end() {
  if (!chunked_) return;
  if (framing_sent_ == framing_.size()) {
    framing_.clear();
    framing_sent_ = 0;
  }
  if (chunk_open_) framing_.append(http::kChunkEnd);
  chunk_open_ = false;
  if (ex_->response.trailers.empty()) {
    framing_.append(http::kLastChunk);
    return;
  }
  framing_.append("0\r\n");
  for (const ResponseHeader& trailer : ex_->response.trailers) {
    if (trailer.name.empty()) continue;
    framing_.append(trailer.name).append(": ").append(trailer.value).append("\r\n");
  }
  framing_.append("\r\n");
}

bool ResponseWriter::within_rate(BodyRun& run, loop::Clock::time_point now) {
  uint64_t rate = pace_.rate;
  if (rate == 0) return true;
  if (rate_started_ == loop::Clock::time_point{}) rate_started_ = now;
  auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - rate_started_).count();
  uint64_t seconds = static_cast<uint64_t>(elapsed) + 1;
  uint64_t allowed = 0;
  if (__builtin_mul_overflow(rate, seconds, &allowed)) return true;
  if (__builtin_add_overflow(allowed, pace_.rate_after, &allowed)) return true;
  if (ex_->body_bytes_sent >= allowed) {
    uint64_t over = ex_->body_bytes_sent - allowed;
    uint64_t wait_ms = over > UINT64_MAX / 1000 ? 60'000 : over * 1000 / rate + 1;
    pause_ = loop::Millis(std::min<uint64_t>(wait_ms, 60'000));
    return false;
  }
  // A chunk already announced is cut between sends, not in its framing.
  uint64_t left = allowed - ex_->body_bytes_sent;
  if (run.size > left) {
    run.clip(left);
    suffix_.clear();
  }
  return true;
}

ResponseWriter::Sent ResponseWriter::send_memory(ClientSocket& socket, BodyRun& run) {
  return transmit(socket, &run, sys::More::kNo);
}

ResponseWriter::Sent ResponseWriter::send_file(ClientSocket& socket, BodyRun& run) {
  if (framing_left() > 0) {
    Sent sent = transmit(socket, nullptr, sys::More::kFollows);
    if (sent != Sent::kAll) return sent;
  }
  size_t size = static_cast<size_t>(std::min<uint64_t>(run.size, 1u << 30));
  sys::Moved moved = sys::send_from_file(socket.fd, run.file, run.offset, size);
  if (!moved.ok()) {
    if (moved.must_wait()) return Sent::kBlocked;
    error_ = moved.error;
    call_ = "sendfile";
    return Sent::kFailed;
  }
  if (moved.bytes == 0) return Sent::kTruncated;
  account(moved.bytes, &run);
  return Sent::kAll;
}

ResponseWriter::Sent ResponseWriter::transmit(ClientSocket& socket, const BodyRun* run,
                                              sys::More more) {
  iovec pieces[BodyRun::kPiecesMax + 3];
  size_t count = 0, total = 0;
  auto add = [&](const char* bytes, size_t size) {
    if (size == 0) return;
    pieces[count++] = {const_cast<char*>(bytes), size};
    total += size;
  };
  add(ex_->head.data() + head_sent_, ex_->head.size() - head_sent_);
  add(framing_.data() + framing_sent_, framing_.size() - framing_sent_);
  if (run != nullptr && run->kind == BodyRun::Kind::kMemory) {
    for (size_t i = 0; i < run->count; ++i) {
      add(static_cast<const char*>(run->pieces[i].iov_base), run->pieces[i].iov_len);
    }
    add(suffix_.data(), suffix_.size());
  }
  if (total == 0) return Sent::kAll;
  sys::Moved moved = sys::send_pieces(socket.fd, pieces, count, more);
  if (!moved.ok()) {
    if (moved.must_wait()) return Sent::kBlocked;
    error_ = moved.error;
    call_ = "writev";
    return Sent::kFailed;
  }
  account(moved.bytes, run);
  // A short count means the socket's buffer is full: the next attempt would only say EAGAIN.
  return moved.bytes < total ? Sent::kBlocked : Sent::kAll;
}

void ResponseWriter::account(size_t bytes, const BodyRun* run) {
  ex_->bytes_sent += bytes;
  size_t head = std::min(bytes, ex_->head.size() - head_sent_);
  head_sent_ += head;
  bytes -= head;
  ex_->body_bytes_sent += bytes;
  size_t framing = std::min(bytes, framing_.size() - framing_sent_);
  framing_sent_ += framing;
  bytes -= framing;
  if (bytes == 0 || run == nullptr || run->size == 0) return;
  auto body = static_cast<size_t>(std::min<uint64_t>(bytes, run->size));
  bool is_all = body == run->size;
  bool is_last = run->last;
  source_->consumed(body);
  turn_left_ -= std::min<uint64_t>(turn_left_, body);
  if (chunked_) chunk_left_ -= body;
  bytes -= body;
  if (!is_all) return;
  bool with_end = is_last && (!chunked_ || (!suffix_.empty() && ex_->response.trailers.empty()));
  if (!with_end) return;
  ended_ = true;
  // What of the end did not fit goes first next time.
  chunk_open_ = false;
  framing_.assign(suffix_, bytes);
  framing_sent_ = 0;
  suffix_.clear();
}

}  // namespace bulkhead::front
