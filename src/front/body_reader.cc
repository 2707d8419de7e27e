#include "front/body_reader.h"

#include <algorithm>
#include <cstring>

namespace bulkhead::front {

using config::LogLevel;

void BodyReader::reset() {
  mode_ = Mode::kIdle;
  chunked_ = complete_ = feeding_done_ = false;
  length_ = left_ = received_ = size_max_ = 0;
  memory_.clear();
  if (memory_.capacity() > kScratch) memory_.shrink_to_fit();
  memory_fed_ = 0;
  spool_.reset();
  spooled_ = fed_ = 0;
  raw_.clear();
  surplus_.clear();
  decoder_.clear();
  failure_ = {};
}

void BodyReader::describe(bool chunked, uint64_t length) {
  chunked_ = chunked;
  length_ = left_ = chunked ? 0 : length;
  complete_ = !has_body();
}

void BodyReader::begin(Mode mode, size_t buffer_max, uint64_t size_max) {
  mode_ = mode;
  buffer_max_ = std::max<size_t>(buffer_max, 1);
  size_max_ = size_max;
  if (mode == Mode::kCollect && !chunked_) {
    memory_.reserve(static_cast<size_t>(std::min<uint64_t>({length_, buffer_max_, 4 * kScratch})));
  }
}

void BodyReader::limit_memory(size_t buffer_max) {
  if (mode_ == Mode::kCollect) buffer_max_ = std::max<size_t>(buffer_max, 1);
}

BodyReader::Step BodyReader::fail(uint16_t status, LogLevel level, std::string text,
                                  bool client_gone) {
  failure_ = {status, client_gone, level, std::move(text)};
  return Step::kFailed;
}

void BodyReader::refuse_spool(int error) {
  fail(500, LogLevel::kCrit,
       Error{"open() of a temporary file for a client request body failed", error}.describe());
}

BodyReader::Step BodyReader::pump(ClientSocket& socket) {
  if (failed()) return Step::kFailed;
  if (complete_) return finish();
  turn_left_ = kTurnBytes;
  return chunked_ ? pump_chunked(socket) : pump_length(socket);
}

BodyReader::Step BodyReader::finish() {
  complete_ = true;
  if (mode_ == Mode::kCollect && spooled_ > 0 && !memory_.empty() && !flush_to_spool()) {
    return Step::kFailed;
  }
  return Step::kDone;
}

BodyReader::Step BodyReader::after_receive(const sys::Moved& moved) {
  if (moved.must_wait()) return Step::kWait;
  std::string text = "client prematurely closed connection";
  if (!moved.ok()) text = Error{"recv() failed", moved.error}.describe();
  return fail(400, LogLevel::kInfo, std::move(text), true);
}

BodyReader::Step BodyReader::make_room() {
  if (mode_ == Mode::kStream) {
    if (memory_fed_ == 0) return Step::kFull;
    memory_.erase(0, memory_fed_);
    memory_fed_ = 0;
    return Step::kWait;
  }
  if (!spool_.valid()) return Step::kSpool;
  return flush_to_spool() ? Step::kWait : Step::kFailed;
}

bool BodyReader::flush_to_spool() {
  if (!write_to_spool(memory_)) return false;
  memory_.clear();
  // Grown while more was allowed: nobody counts it any more.
  if (memory_.capacity() > buffer_max_) memory_.shrink_to_fit();
  return true;
}

bool BodyReader::write_to_spool(std::string_view bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    sys::Moved moved =
        sys::write_file(spool_, bytes.data() + done, bytes.size() - done, spooled_ + done);
    if (!moved.ok() || moved.bytes == 0) {
      int error = moved.ok() ? ENOSPC : moved.error;
      fail(500, LogLevel::kCrit,
           Error{"pwrite() of a client request body failed", error}.describe());
      return false;
    }
    done += moved.bytes;
  }
  spooled_ += done;
  return true;
}

size_t BodyReader::store(std::string_view bytes) {
  if (mode_ == Mode::kDiscard) {
    received_ += bytes.size();
    return bytes.size();
  }
  size_t room = buffer_max_ - std::min(buffer_max_, memory_.size());
  bytes = bytes.substr(0, room);
  memory_.append(bytes);
  received_ += bytes.size();
  return bytes.size();
}

BodyReader::Step BodyReader::pump_length(ClientSocket& socket) {
  while (left_ > 0) {
    if (is_full()) {
      Step step = make_room();
      if (step != Step::kWait) return step;
    }
    if (!socket.input.empty()) {
      size_t size = static_cast<size_t>(std::min<uint64_t>(left_, socket.input.size()));
      size_t stored = store(socket.input.bytes().substr(0, size));
      socket.input.consume(stored);
      left_ -= stored;
      continue;
    }
    if (turn_left_ == 0) return Step::kYield;
    const sys::Moved moved = mode_ == Mode::kDiscard             ? discard(socket)
                             : spool_.valid() && memory_.empty() ? receive_to_spool(socket)
                                                                 : receive_to_memory(socket);
    if (failed()) return Step::kFailed;
    if (!moved.ok() || moved.bytes == 0) return after_receive(moved);
    received_ += moved.bytes;
    left_ -= moved.bytes;
    turn_left_ -= std::min<uint64_t>(turn_left_, moved.bytes);
  }
  return finish();
}

sys::Moved BodyReader::discard(ClientSocket& socket) {
  char scratch[kScratch];
  return socket.receive(scratch, static_cast<size_t>(std::min<uint64_t>(left_, sizeof scratch)));
}

sys::Moved BodyReader::receive_to_memory(ClientSocket& socket) {
  const size_t before = memory_.size();
  auto want = static_cast<size_t>(std::min<uint64_t>({left_, buffer_max_ - before, turn_left_}));
  // Grown as the client sends, never by what it promises.
  want = std::min(want, std::max(memory_.capacity() - before, kScratch));
  sys::Moved moved;
  memory_.resize_and_overwrite(before + want, [&](char* bytes, size_t) {
    moved = socket.receive(bytes + before, want);
    return before + moved.bytes;
  });
  return moved;
}

// Large pieces: what a file system does for each write costs more than the bytes.
sys::Moved BodyReader::receive_to_spool(ClientSocket& socket) {
  char scratch[kSpoolStep];
  const auto want = static_cast<size_t>(std::min<uint64_t>(left_, sizeof scratch));
  const sys::Moved moved = socket.receive(scratch, want);
  if (moved.ok()) (void)write_to_spool({scratch, moved.bytes});
  return moved;
}

BodyReader::Step BodyReader::decode(std::string_view input, size_t& used) {
  used = 0;
  while (used < input.size()) {
    if (is_full()) {
      Step step = make_room();
      if (step != Step::kWait) return step;
    }
    // A step never yields more data than there is room for, so nothing decoded is left over.
    size_t room = mode_ == Mode::kDiscard ? input.size() : buffer_max_ - memory_.size();
    auto out = decoder_.decode(input.substr(used, std::max<size_t>(room, 1)));
    used += out.consumed;
    if (out.step == http::ChunkedDecoder::Step::kError) {
      return fail(400, LogLevel::kError, "client sent invalid chunked body");
    }
    uint64_t total = 0;
    uint64_t coming = out.data.size() + decoder_.remaining_in_chunk();
    if (mode_ != Mode::kDiscard && size_max_ > 0 &&
        (__builtin_add_overflow(received_, coming, &total) || total > size_max_)) {
      return fail(413, LogLevel::kError,
                  "client intended to send too large chunked body: " + std::to_string(received_) +
                      "+" + std::to_string(coming) + " bytes");
    }
    if (!out.data.empty()) store(out.data);
    if (out.step == http::ChunkedDecoder::Step::kDone) return finish();
    if (out.consumed == 0) break;
  }
  return Step::kWait;
}

BodyReader::Step BodyReader::pump_chunked(ClientSocket& socket) {
  for (;;) {
    size_t used = 0;
    if (!raw_.empty()) {
      Step step = decode(raw_, used);
      raw_.erase(0, used);
      if (step == Step::kDone) surplus_.swap(raw_);
      if (step != Step::kWait) return step;
    }
    if (!socket.input.empty()) {
      Step step = decode(socket.input.bytes(), used);
      socket.input.consume(used);
      if (step != Step::kWait) return step;
      continue;
    }
    if (turn_left_ == 0) return Step::kYield;
    char scratch[kScratch];
    sys::Moved moved = socket.receive(scratch, sizeof scratch);
    if (!moved.ok() || moved.bytes == 0) return after_receive(moved);
    turn_left_ -= std::min<uint64_t>(turn_left_, moved.bytes);
    raw_.assign(scratch, moved.bytes);
  }
}

void BodyReader::rewind(uint64_t from) {
  fed_ = from;
  feeding_done_ = false;
}

void BodyReader::abandon_stream() {
  if (mode_ != Mode::kStream || fed_ == 0) return;
  mode_ = Mode::kDiscard;
  memory_.clear();
  memory_fed_ = 0;
}

bool BodyReader::feed_window(AppStream& stream) {
  while (memory_fed_ < memory_.size()) {
    size_t taken = stream.write_body(std::string_view(memory_).substr(memory_fed_));
    if (taken == 0) return false;
    memory_fed_ += taken;
    fed_ += taken;
  }
  if (!complete_) return false;
  stream.finish_body();
  return feeding_done_ = true;
}

bool BodyReader::feed_memory(AppStream& stream) {
  const std::string_view bytes = std::string_view(memory_).substr(static_cast<size_t>(fed_));
  const size_t taken = stream.write_body(bytes);
  fed_ += taken;
  return taken == bytes.size();
}

bool BodyReader::read_failed(const sys::Moved& moved) {
  if (moved.ok() && moved.bytes > 0) return false;
  fail(500, LogLevel::kCrit,
       Error{"pread() of a client request body failed", moved.ok() ? EIO : moved.error}.describe());
  return true;
}

// A stretch of the spool file; false: the application takes no more now, or failed().
bool BodyReader::feed_spooled(AppStream& stream) {
  const uint64_t left = received_ - fed_;
  std::array<iovec, 2> room;
  const int pieces = stream.body_room(room);
  if (pieces > 0) {
    const auto want = static_cast<size_t>(std::min<uint64_t>(room[0].iov_len, left));
    const sys::Moved moved = sys::read_file(spool_, room[0].iov_base, want, fed_);
    if (read_failed(moved)) return false;
    stream.body_filled(moved.bytes);
    fed_ += moved.bytes;
    return true;
  }
  if (pieces == 0) return false;
  char scratch[kScratch];
  const auto want = static_cast<size_t>(std::min<uint64_t>(kScratch, left));
  const sys::Moved moved = sys::read_file(spool_, scratch, want, fed_);
  if (read_failed(moved)) return false;
  const size_t taken = stream.write_body({scratch, moved.bytes});
  fed_ += taken;
  return taken == moved.bytes;
}

bool BodyReader::feed(AppStream& stream) {
  if (feeding_done_) return true;
  if (mode_ == Mode::kStream) return feed_window(stream);
  while (fed_ < received_) {
    if (!(in_memory() ? feed_memory(stream) : feed_spooled(stream))) return false;
  }
  stream.finish_body();
  return feeding_done_ = true;
}

}  // namespace bulkhead::front
