#include "front/ring_stream.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "front/site_link.h"

namespace bulkhead::front {
namespace {
constexpr int kFramesPerTurn = 64;  // then other streams get their turn
constexpr size_t kPiecesMax = 64;   // parsed and unconsumed; then parsing waits
constexpr uint8_t kTakenBackMax = 3;
constexpr size_t kStderrMax = 4096;  // of one frame: the rest of a longer one is cut off
}  // namespace

RingStream::RingStream(Owner& owner, Site& site, const AppRequest& request, AppListener* listener)
    : owner_(owner),
      site_(site),
      listener_(listener),
      read_timeout_(request.read_timeout),
      send_timeout_(request.send_timeout),
      head_max_(request.head_max),
      timer_([this] { on_timer(); }),
      body_streams_(request.body_length != request.inline_body.size()) {
  set_timer();
}

RingStream::~RingStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  owner_.stream_gone(*this);
}

bool RingStream::encode(const AppRequest& request, std::span<unsigned char> area) {
  const Params& params = *request.params;
  if (area.empty()) {
    size_t bytes = sizeof(ring::RequestHeader) + request.inline_body.size();
    for (size_t i = 0; i < params.size(); ++i) {
      bytes += sizeof(ring::NameValue) + params.name(i).size() + params.value(i).size() + 2;
    }
    if (bytes > ring::kRequestBytes) return false;
    request_.resize(bytes);
    area = request_;
  }
  ring::RequestWriter writer(area);
  for (size_t i = 0; i < params.size(); ++i) writer.add(params.name(i), params.value(i));
  writer.set_peer(request.peer);
  request_bytes_ =
      static_cast<uint32_t>(writer.finish(request.inline_body, request.body_length, request.flags));
  return writer.ok();
}

void RingStream::activate(SiteLink& link, ring::FrontRing& ring, int slot) {
  if (!request_.empty()) {
    std::memcpy(ring.request_area(slot).data(), request_.data(), request_.size());
    request_.clear();
    request_.shrink_to_fit();
    writable_due_ = body_streams_ && !body_finished_;
  }
  link_ = &link;
  ring_ = &ring;
  slot_ = slot;
  if (body_streams_ && body_finished_) ring_->body_finish(slot_);
}

bool RingStream::waits_untaken() const {
  return ring_ != nullptr && ring_->phase(slot_) == ring::SlotPhase::kSubmitted;
}

bool RingStream::take_back() {
  if (ring_ == nullptr || taken_back_ >= kTakenBackMax) return false;
  // A request that was answered was taken, whatever the slot's state says.
  if (head_done_ || end_seen_ || !head_.empty() || !pieces_.empty()) return false;
  if (body_started_ && !listener_->on_app_repeat()) return false;
  if (!ring_->withdraw(slot_)) return false;
  unsigned char* area = ring_->request_area(slot_).data();
  request_.assign(area, area + request_bytes_);
  ring_->cancel(slot_);
  ring_ = nullptr;
  link_ = nullptr;
  slot_ = -1;
  ++taken_back_;
  if (std::exchange(body_started_, false)) body_finished_ = false;
  body_blocked_ = writable_due_ = false;
  set_timer();
  return true;
}

size_t RingStream::write_body(std::string_view bytes) {
  if (end_seen_) return bytes.size();  // nobody will read it
  if (ring_ == nullptr || error_ != AppError::kNone || !body_streams_ || body_finished_) return 0;
  std::array<iovec, 2> room;
  int pieces = ring_->body_space(slot_, room);
  if (pieces < 0) {
    fail(AppError::kInvalid, "the worker's count of body bytes is impossible");
    return 0;
  }
  size_t taken = 0;
  for (int i = 0; i < pieces && taken < bytes.size(); ++i) {
    size_t n = std::min(room[i].iov_len, bytes.size() - taken);
    std::memcpy(room[i].iov_base, bytes.data() + taken, n);
    taken += n;
  }
  if (taken != 0) {
    body_started_ = true;
    ring_->body_commit(slot_, static_cast<uint32_t>(taken));
  }
  if (taken < bytes.size()) {
    // Asks for room, so that room_appeared() and with it on_app_writable() follow.
    if (pieces != 0 && ring_->body_space(slot_, room) > 0) writable_due_ = true;
    body_blocked_ = true;
    owner_.stream_wants_turn(*this);
  }
  set_timer();
  return taken;
}

int RingStream::body_room(std::array<iovec, 2>& pieces) {
  if (end_seen_ || ring_ == nullptr || error_ != AppError::kNone || body_finished_) return -1;
  const int count = ring_->body_space(slot_, pieces);
  if (count < 0) {
    fail(AppError::kInvalid, "the worker's count of body bytes is impossible");
  } else if (count == 0) {
    body_blocked_ = true;
    owner_.stream_wants_turn(*this);
    set_timer();
  }
  return std::max(count, 0);
}

void RingStream::body_filled(size_t bytes) {
  body_started_ = true;
  ring_->body_commit(slot_, static_cast<uint32_t>(bytes));
  set_timer();
}

void RingStream::finish_body() {
  if (body_finished_) return;
  body_finished_ = true;
  body_blocked_ = false;
  if (ring_ != nullptr && body_streams_) ring_->body_finish(slot_);
  set_timer();
}

size_t RingStream::peek(iovec* pieces, size_t max) {
  size_t count = std::min(max, pieces_.size() - first_);
  for (size_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[first_ + i];
    pieces[i] = {const_cast<char*>(piece.data), piece.size};
  }
  peeked_all_ = count == pieces_.size() - first_;
  return count;
}

void RingStream::consume(size_t bytes) {
  bool freed = false;
  while (bytes > 0) {
    BH_CHECK(first_ < pieces_.size());
    Piece& piece = pieces_[first_];
    uint32_t n = static_cast<uint32_t>(std::min<size_t>(bytes, piece.size));
    piece.data += n;
    piece.size -= n;
    bytes -= n;
    if (piece.size != 0) break;
    if (piece.frees) ring_->free_to(slot_, piece.free_to);
    freed = true;
    ++first_;
  }
  if (!freed || first_ < pieces_.size()) {
    if (freed && stalled_) owner_.stream_wants_turn(*this);
    return;
  }
  pieces_.clear();
  first_ = 0;
  if (!end_seen_) owner_.stream_wants_turn(*this);
  set_timer();
}

void RingStream::set_timer() {
  bool reading = !(body_streams_ && !body_finished_) || ring_ == nullptr;
  if (error_ != AppError::kNone || end_seen_) {
    timer_.cancel();
  } else if (body_blocked_) {
    timer_.arm(owner_.event_loop(), send_timeout_);
  } else if (!pieces_.empty() || !reading) {
    timer_.cancel();
  } else {
    timer_.arm(owner_.event_loop(), read_timeout_);
  }
}

void RingStream::on_timer() {
  fail(AppError::kTimeout, body_blocked_ ? "sending the request body to the site timed out"
                                         : "waiting for the site's response timed out");
}

void RingStream::fail(AppError error, std::string_view detail) {
  if (error_ != AppError::kNone) return;
  error_ = error;
  detail_ = detail;
  owner_.stream_gone(*this);
  link_ = nullptr;
  ring_ = nullptr;
  slot_ = -1;
  pieces_.clear();
  first_ = 0;
  timer_.cancel();
  owner_.stream_failed(*this);
}

void RingStream::report() { listener_->on_app_error(error_, detail_); }

template <class Call>
bool RingStream::notify(Call call) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  call(*listener_);
  if (destroyed) return false;
  destroyed_ = nullptr;
  return true;
}

bool RingStream::has_work() const {
  if (ring_ == nullptr || end_seen_) return false;
  if (writable_due_ || ring_->room_appeared(slot_)) return true;
  bool full = pieces_.size() - first_ >= kPiecesMax;
  if (!full && ring_->has_unread(slot_)) return true;
  ring::SlotPhase phase = ring_->phase(slot_);
  bool running = phase == ring::SlotPhase::kSubmitted || phase == ring::SlotPhase::kTaken;
  return !running && pieces_.empty();
}

bool RingStream::process() {
  if (!has_work()) return false;
  if (writable_due_ || ring_->room_appeared(slot_)) {
    writable_due_ = body_blocked_ = false;
    ring_->room_noticed(slot_);
    set_timer();
    if (!notify([](AppListener& l) { l.on_app_writable(); }) || ring_ == nullptr) return true;
  }
  // Before the frames: a worker writes all of them first, then its state.
  ring::SlotPhase phase = ring_->phase(slot_);
  bool progress = false, readable = false;
  stalled_ = false;
  for (int i = 0; i < kFramesPerTurn && !end_seen_; ++i) {
    if (pieces_.size() - first_ >= kPiecesMax) {
      stalled_ = true;
      break;
    }
    ring::FrameView frame;
    ring::Next next = ring_->next_frame(slot_, frame);
    if (next == ring::Next::kBroken) {
      fail(AppError::kInvalid, "the site broke the ring's protocol");
      return true;
    }
    if (next == ring::Next::kNone) {
      if (!check_phase(phase)) return true;
      break;
    }
    progress = true;
    Step step = take_frame(frame);
    if (step != Step::kNext) return true;
    readable |= frame.kind != ring::Frame::kHead && frame.kind != ring::Frame::kStderr;
  }
  if (!progress) return true;
  set_timer();
  if (readable) notify([](AppListener& l) { l.on_app_readable(); });
  return true;
}

bool RingStream::check_phase(ring::SlotPhase phase) {
  switch (phase) {
    case ring::SlotPhase::kSubmitted:
    case ring::SlotPhase::kTaken:
      return true;
    case ring::SlotPhase::kDead:
      // What it wrote before it died is still sent.
      if (!pieces_.empty()) return true;
      fail(head_done_ ? AppError::kClosedInBody : AppError::kClosed, "the site's worker died");
      return false;
    case ring::SlotPhase::kDone:
    case ring::SlotPhase::kFree:
      break;
  }
  fail(AppError::kInvalid, "the site gave the request back unanswered");
  return false;
}

RingStream::Step RingStream::take_frame(const ring::FrameView& frame) {
  switch (frame.kind) {
    case ring::Frame::kHead:
      return take_head(frame);
    case ring::Frame::kStderr:
      return take_stderr(frame);
    case ring::Frame::kBody:
    case ring::Frame::kFlush:
    case ring::Frame::kEnd:
      break;
  }
  Step step = deliver_head();
  if (step != Step::kNext) return step;
  if (frame.kind == ring::Frame::kEnd) return take_end(frame);
  if (frame.kind == ring::Frame::kFlush) flush_ = true;
  take_body(frame);
  return Step::kNext;
}

RingStream::Step RingStream::take_head(const ring::FrameView& frame) {
  if (head_done_ || frame.size > head_max_ - std::min<size_t>(head_max_, head_.size())) {
    fail(AppError::kInvalid,
         head_done_ ? "the site sent a second header" : "the site sent a too big header");
    return Step::kStop;
  }
  size_t old = head_.size();
  head_.resize(old + frame.size);
  ring::FrontRing::copy_payload(frame, {head_.data() + old, frame.size});
  free_frame(frame);
  return Step::kNext;
}

RingStream::Step RingStream::deliver_head() {
  if (head_done_) return Step::kNext;
  if (head_.empty()) {
    fail(AppError::kInvalid, "the site sent a response without a header");
    return Step::kStop;
  }
  head_done_ = true;
  if (!notify([this](AppListener& l) { l.on_app_head(head_); })) return Step::kGone;
  return ring_ == nullptr ? Step::kStop : Step::kNext;
}

RingStream::Step RingStream::take_stderr(const ring::FrameView& frame) {
  std::string text(std::min<size_t>(frame.size, kStderrMax), '\0');
  ring::FrontRing::copy_payload(frame, text);
  free_frame(frame);
  if (!notify([&text](AppListener& l) { l.on_app_stderr(text); })) return Step::kGone;
  return ring_ == nullptr ? Step::kStop : Step::kNext;
}

void RingStream::take_body(const ring::FrameView& frame) {
  if (frame.size == 0) return free_frame(frame);
  peeked_all_ = false;
  for (uint32_t i = 0; i < frame.pieces; ++i) {
    pieces_.push_back({static_cast<const char*>(frame.piece[i].iov_base),
                       static_cast<uint32_t>(frame.piece[i].iov_len), frame.end,
                       i + 1 == frame.pieces});
  }
}

// Frees a frame whose payload is not needed; behind unconsumed body, together with that.
void RingStream::free_frame(const ring::FrameView& frame) {
  if (pieces_.empty()) {
    ring_->free_to(slot_, frame.end);
  } else {
    pieces_.back().free_to = frame.end;
  }
}

RingStream::Step RingStream::take_end(const ring::FrameView& frame) {
  ring::EndBody body;
  if (frame.size != sizeof body) {
    fail(AppError::kInvalid, "the site sent a malformed end");
    return Step::kStop;
  }
  ring::FrontRing::copy_payload(frame, {reinterpret_cast<char*>(&body), sizeof body});
  end_ = {body.app_status, body.cpu_us, body.memory_peak};
  end_seen_ = true;
  free_frame(frame);
  return Step::kNext;
}

}  // namespace bulkhead::front
