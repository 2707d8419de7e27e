#include "front/app_body.h"

#include <algorithm>
#include <cerrno>

#include "sys/stream_io.h"

namespace bulkhead::front {

void AppBody::start(AppStream* stream, const Limits& limits) {
  reset();
  stream_ = stream;
  limits_ = limits;
}

void AppBody::reset() {
  stream_ = nullptr;
  verdict_ = Verdict::kFine;
  flush_ = drained_ = wants_spool_ = cut_short_ = false;
  taken_ = 0;
  memory_.clear();
  memory_.shrink_to_fit();
  memory_at_ = 0;
  spool_.reset();
  spool_at_ = spool_end_ = 0;
  spool_error_ = 0;
}

void AppBody::detach() { stream_ = nullptr; }

void AppBody::note_end() {
  drained_ = true;
  if (limits_.length >= 0 && taken_ < static_cast<uint64_t>(limits_.length)) {
    verdict_ = Verdict::kTooShort;
  }
}

bool AppBody::peek(BodyRun& run) {
  if (stream_ == nullptr || drained_) return false;
  run.count = stream_->peek(run.pieces.data(), BodyRun::kPiecesMax);
  run.size = 0;
  for (size_t i = 0; i < run.count; ++i) run.size += run.pieces[i].iov_len;
  if (stream_->take_flush()) flush_ = true;
  if (run.size == 0) {
    if (stream_->ended()) note_end();
    return false;
  }
  run.kind = BodyRun::Kind::kMemory;
  run.last = stream_->last_peeked();
  if (limits_.length < 0) return true;
  // An end before the announced length is no end: the connection must be cut.
  run.last = run.last && taken_ + run.size >= static_cast<uint64_t>(limits_.length);
  uint64_t left = static_cast<uint64_t>(limits_.length) - taken_;
  if (run.size > left) {
    // More than was announced is thrown away: it would be taken for the next response.
    verdict_ = Verdict::kTooLong;
    if (left == 0) {
      stream_->consume(static_cast<size_t>(run.size));
      run.size = run.count = 0;
      if (stream_->ended()) note_end();
      return false;
    }
    run.clip(left);
  }
  return true;
}

void AppBody::next(BodyRun& run) {
  if (memory_at_ < memory_.size()) {
    run.kind = BodyRun::Kind::kMemory;
    run.add(memory_.data() + memory_at_, memory_.size() - memory_at_);
  } else if (spool_at_ < spool_end_) {
    run.kind = BodyRun::Kind::kFile;
    run.file = spool_;
    run.offset = spool_at_;
    run.size = spool_end_ - spool_at_;
  } else {
    next_from_stream(run);
    return;
  }
  run.last = drained_ && verdict_ != Verdict::kTooShort &&
             (run.kind == BodyRun::Kind::kFile || spool_at_ == spool_end_);
}

void AppBody::next_from_stream(BodyRun& run) {
  if (!peek(run)) {
    run.kind = BodyRun::Kind::kWait;
    run.flush = flush_ || !limits_.buffering;
    // Even when the announced length has come, the application may still be at work: ending the
    // request now would abort it.
    if (drained_) {
      run.kind = verdict_ == Verdict::kTooShort ? BodyRun::Kind::kBroken : BodyRun::Kind::kEnd;
    } else if (stream_ == nullptr) {
      run.kind = BodyRun::Kind::kBroken;
    }
    return;
  }
  bool complete = limits_.length >= 0 && taken_ + run.size == static_cast<uint64_t>(limits_.length);
  bool hold = limits_.buffering && stream_->gathers() && !flush_ && !stream_->last_peeked() &&
              !complete && run.size < limits_.hold_bytes && run.count < BodyRun::kPiecesMax;
  if (!hold) return;
  run.kind = BodyRun::Kind::kWait;
  run.size = run.count = 0;
}

void AppBody::take(uint64_t bytes) {
  taken_ += bytes;
  stream_->consume(static_cast<size_t>(bytes));
  if (stream_->ended()) note_end();
}

void AppBody::consumed(uint64_t bytes) {
  if (memory_at_ < memory_.size()) {
    memory_at_ += static_cast<size_t>(bytes);
    if (memory_at_ == memory_.size()) {
      memory_.clear();
      memory_at_ = 0;
    }
  } else if (spool_at_ < spool_end_) {
    spool_at_ += bytes;
    if (spool_at_ == spool_end_) spool_at_ = spool_end_ = 0;
  } else {
    take(bytes);
    flush_ = false;
  }
}

void AppBody::keep(const BodyRun& run) {
  for (size_t i = 0; i < run.count; ++i) {
    memory_.append(static_cast<const char*>(run.pieces[i].iov_base), run.pieces[i].iov_len);
  }
  take(run.size);
}

bool AppBody::spill(const BodyRun& run) {
  uint64_t written = 0;
  for (size_t i = 0; i < run.count && spool_error_ == 0; ++i) {
    const char* at = static_cast<const char*>(run.pieces[i].iov_base);
    size_t left = run.pieces[i].iov_len;
    while (left > 0) {
      sys::Moved moved = sys::write_file(spool_, at, left, spool_end_ + written);
      if (!moved.ok() || moved.bytes == 0) {
        spool_error_ = moved.ok() ? ENOSPC : moved.error;
        limits_.file_max = 0;
        break;
      }
      written += moved.bytes;
      at += moved.bytes;
      left -= moved.bytes;
    }
  }
  spool_end_ += written;
  take(written);
  return spool_error_ == 0;
}

uint64_t AppBody::absorb(uint64_t budget) {
  cut_short_ = false;
  if (!limits_.buffering || wants_spool_) return 0;
  const uint64_t before = taken_;
  for (;;) {
    BodyRun run;
    if (!peek(run)) break;
    const bool use_file = spool_end_ > 0 || memory_.size() + run.size > limits_.memory_max;
    if (use_file) {
      if (limits_.file_max == 0) break;
      if (!spool_.valid()) {
        wants_spool_ = true;
        break;
      }
      if (spool_end_ >= limits_.file_max) break;
      run.clip(limits_.file_max - spool_end_);
    }
    const uint64_t left = budget - (taken_ - before);
    if (left == 0) {
      cut_short_ = true;
      break;
    }
    run.clip(left);
    if (!use_file) {
      keep(run);
    } else if (!spill(run)) {
      break;
    }
  }
  return taken_ - before;
}

void AppBody::give_spool(sys::Fd file) {
  wants_spool_ = false;
  if (!file.valid()) limits_.file_max = 0;
  spool_ = std::move(file);
}

}  // namespace bulkhead::front
