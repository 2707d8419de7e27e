// See worker_output.h.
#include "pool/worker_output.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace bulkhead::pool {

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2() failed");
  Pipe p{sys::Fd(ends[0]), sys::Fd(ends[1])};
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return p;
}

Result<std::unique_ptr<WorkerOutput>> WorkerOutput::create(loop::EventLoop& loop, sys::Fd pipe,
                                                           OnLine on_line) {
  std::unique_ptr<WorkerOutput> output(new WorkerOutput(loop, std::move(pipe), std::move(on_line)));
  TRY_STATUS(loop.add(output->pipe_, EPOLLIN, output.get()));
  return output;
}

WorkerOutput::~WorkerOutput() { close(); }

void WorkerOutput::close() {
  if (!pipe_.valid()) return;
  loop_.remove(pipe_, this);
  pipe_.reset();
}

bool WorkerOutput::read_some() {
  char bytes[4096];
  const ssize_t n = read(pipe_.get(), bytes, sizeof bytes);
  if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
  if (n == 0) close();
  return n > 0;
}

void WorkerOutput::hand_on(bool all) {
  size_t from = 0;
  while (from < buffer_.size()) {
    size_t end = buffer_.find('\n', from);
    if (end == std::string::npos && !all && buffer_.size() - from < kLineMax) break;
    const size_t size =
        std::min({end == std::string::npos ? buffer_.size() - from : end - from, kLineMax});
    on_line_(std::string_view(buffer_).substr(from, size));
    from += size;
    if (from == end) ++from;
  }
  buffer_.erase(0, from);
}

void WorkerOutput::on_ready(uint32_t) {
  for (int i = 0; i < kReadsPerEvent && pipe_.valid() && read_some(); ++i) {
  }
  hand_on(!pipe_.valid());
}

void WorkerOutput::drain() {
  for (int i = 0; i < kReadsPerEvent && pipe_.valid() && read_some(); ++i) {
  }
  hand_on(true);
}

}  // namespace bulkhead::pool
