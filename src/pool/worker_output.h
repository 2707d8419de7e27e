// catch_workers_output: what a worker writes to stdout and stderr becomes lines of the pool's log.
//
// Runs in: pool.  Input: anything a script or its children write (hostile).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::pool {

class WorkerOutput final : public loop::IoHandler {
 public:
  using OnLine = std::function<void(std::string_view line)>;
  // Reads `pipe` on `loop` until its end or destruction; a last line without newline counts.
  static Result<std::unique_ptr<WorkerOutput>> create(loop::EventLoop& loop, sys::Fd pipe,
                                                      OnLine on_line);
  ~WorkerOutput() override;
  // Hands on what is in the pipe now, for a worker that has ended.
  void drain();

  static constexpr size_t kLineMax = 3500;
  static constexpr int kReadsPerEvent = 16;

 private:
  WorkerOutput(loop::EventLoop& loop, sys::Fd pipe, OnLine on_line)
      : loop_(loop), pipe_(std::move(pipe)), on_line_(std::move(on_line)) {}
  void on_ready(uint32_t events) override;
  bool read_some();
  void hand_on(bool all);
  void close();

  loop::EventLoop& loop_;
  sys::Fd pipe_;
  OnLine on_line_;
  std::string buffer_;
};

// A pipe; the read end does not block.
struct Pipe {
  sys::Fd read, write;
};
Result<Pipe> make_pipe();

}  // namespace bulkhead::pool
