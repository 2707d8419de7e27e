// In which order one loop serves the connections that have something to do.
//
// Runs in: front.  Input: none of its own.  Threads: the loop's own.
#include "front/server_loop.h"
#include "front/turn_order.h"

namespace bulkhead::front {
namespace {
// Where sites compete, their workers are told of new requests so often, not at the end of the turn.
constexpr size_t kServedUntold = 16;
}  // namespace

void ServerLoop::line_up(Connection& connection) {
  if (std::exchange(connection.in_line, true)) return;
  if (line_.empty()) events_->defer([this] { serve_line(); });
  line_.push_back({.account = connection.account(), .connection = &connection});
}

void ServerLoop::serve_line() {
  served_.swap(line_);
  const Company company = take_turns(served_);
  for (size_t i = 0; i < served_.size(); ++i) {
    Connection& connection = *served_[i].connection;
    connection.in_line = false;
    connection.take_place();
    if (company == Company::kMixed && i % kServedUntold == 0) sites_->end_turn();
  }
  served_.clear();
}

void ServerLoop::continue_soon(Connection& connection) {
  events_->post([at = &connection, serial = connection.serial()] {
    if (at->serial() == serial) at->go_on();
  });
}

}  // namespace bulkhead::front
