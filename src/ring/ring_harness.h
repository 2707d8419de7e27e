// For tests and benchmarks: a bell, a segment, both sides mapped; and a blocking front.
#pragma once

#include <sys/eventfd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "ring/front_ring.h"
#include "ring/worker_ring.h"
#include "sys/sealed.h"

namespace bulkhead::ring::testing {

struct Shared {
  sys::Fd bell, segment, wake;
  std::unique_ptr<FrontRing> front;
  std::unique_ptr<WorkerRing> worker;

  explicit Shared(uint32_t workers_max = 8) {
    bell = std::move(*sys::create_shared("bell", kBellBytes));
    segment = std::move(*sys::create_shared("segment", kSegmentBytes));
    wake = sys::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    front = std::move(*FrontRing::map(segment, bell, workers_max));
    worker = another_worker();
  }
  [[nodiscard]] std::unique_ptr<WorkerRing> another_worker() const {
    std::vector<WorkerRing::LoopEnds> loops(1);
    loops[0].segment = sys::Fd(::dup(segment.get()));
    loops[0].wake = sys::Fd(::dup(wake.get()));
    return std::move(*WorkerRing::create(bell, std::move(loops)));
  }
  [[nodiscard]] Segment& raw() const {
    static thread_local sys::Mapping mapping;
    mapping = std::move(*sys::Mapping::map(segment, kSegmentBytes, "segment"));
    return *static_cast<Segment*>(mapping.data());
  }
};

struct Response {
  std::string head, body, err;
  EndBody end{};
  int flushes = 0;
  bool ended = false, broken = false;
};

// Submits one request; the slot.
inline int submit(FrontRing& front, std::string_view name, std::string_view value,
                  std::string_view body = {}, uint64_t total = 0) {
  int slot = front.acquire();
  if (slot < 0) return slot;
  RequestWriter writer(front.request_area(slot));
  writer.add(name, value);
  writer.finish(body, total == 0 ? body.size() : total, 0);
  BH_CHECK(writer.ok());
  (void)front.submit(slot);
  return slot;
}

// Reads the frames that are there.
inline bool read_frames(FrontRing& front, int slot, Response& into) {
  FrameView frame;
  bool any = false;
  for (;;) {
    Next next = front.next_frame(slot, frame);
    if (next == Next::kNone) return any;
    if (next == Next::kBroken) {
      into.broken = true;
      return true;
    }
    any = true;
    std::string text(frame.size, '\0');
    FrontRing::copy_payload(frame, text);
    switch (frame.kind) {
      case Frame::kHead:
        into.head += text;
        break;
      case Frame::kBody:
        into.body += text;
        break;
      case Frame::kStderr:
        into.err += text;
        break;
      case Frame::kFlush:
        ++into.flushes;
        break;
      case Frame::kEnd:
        into.ended = true;
        std::memcpy(&into.end, text.data(), std::min(text.size(), sizeof into.end));
        break;
    }
    front.free_to(slot, frame.end);
  }
}

// Reads until the slot is done or dead, and releases it.  Gives up after ten seconds.
inline Response finish(FrontRing& front, int slot) {
  Response response;
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < until) {
    SlotPhase phase = front.phase(slot);
    if (read_frames(front, slot, response)) continue;
    if (phase == SlotPhase::kDone || phase == SlotPhase::kDead) {
      front.release(slot);
      return response;
    }
    std::this_thread::yield();
  }
  response.broken = true;
  return response;
}

}  // namespace bulkhead::ring::testing
