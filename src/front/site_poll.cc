// SiteClient's turn in the event loop: which rings are looked at, and how long before sleeping.
//
// Runs in: front.  Input: none of its own.  Threads: one event loop.
#include <algorithm>
#include <chrono>

#include "front/site_state.h"

namespace bulkhead::front {
namespace {
constexpr uint32_t kIdleTurns = 16;  // polls without result before a link is left to its eventfd
constexpr loop::Millis kRescueAfter{1};
}  // namespace

bool SiteClient::Impl::report_failures() {
  bool worked = !failing.empty() || !failed_files.empty();
  // Only what is there now: a listener may start something that fails at once.
  for (size_t n = failing.size(); n > 0 && !failing.empty(); --n) {
    RingStream* stream = failing.front();
    failing.erase(failing.begin());
    stream->failing = false;
    stream->report();
  }
  std::vector<std::pair<FileOperation, int>> files = std::move(failed_files);
  failed_files.clear();
  for (auto& [operation, error] : files) operation.fail(error);
  return worked;
}

void SiteClient::Impl::cool(size_t index) {
  if (hot[index]->wake_workers()) watch(*hot[index]);
  hot[index]->hot = false;
  hot[index] = hot.back();
  hot.pop_back();
}

bool SiteClient::Impl::poll_links() {
  bool worked = false;
  for (size_t i = 0; i < hot.size();) {
    SiteLink* link = hot[i];
    if (link->poll()) {
      worked = true;
      link->idle_turns = 0;
    } else if (!link->waits()) {
      cool(i);
      continue;
    } else if (!spinning && ++link->idle_turns >= kIdleTurns) {
      // Under load a loop may never sleep; slow scripts should not cost it a look each time.
      link->prepare_sleep();
      if (!link->has_work()) {
        cool(i);
        continue;
      }
      link->wake_up();
    }
    ++i;
  }
  return worked;
}

bool SiteClient::poll() {
  std::erase_if(impl_->graveyard, [](const auto& link) { return !link->has_streams(); });
  bool worked = impl_->report_failures();
  if (impl_->poll_links()) {
    impl_->end_spin(ring::SpinPolicy::Outcome::kAnswered);
    worked = true;
  }
  return worked;
}

bool SiteClient::prepare_sleep() {
  impl_->end_spin(ring::SpinPolicy::Outcome::kInVain);
  if (!impl_->failing.empty() || !impl_->failed_files.empty()) return false;
  bool may_sleep = true;
  for (size_t i = 0; i < impl_->hot.size();) {
    SiteLink* link = impl_->hot[i];
    link->prepare_sleep();
    if (link->has_work()) {
      link->wake_up();
      may_sleep = false;
      ++i;
    } else {
      impl_->cool(i);
    }
  }
  return may_sleep;
}

void SiteClient::end_turn() {
  for (SiteLink* link : impl_->hot) {
    if (link->wake_workers()) impl_->watch(*link);
  }
}

void SiteClient::Impl::watch(SiteLink& link) {
  if (!link.watched) {
    link.watched = true;
    watched.push_back(&link);
  }
  if (!rescue_timer.armed()) rescue_timer.arm(loop, kRescueAfter);
}

void SiteClient::Impl::unwatch(SiteLink& link) {
  if (!link.watched) return;
  link.watched = false;
  std::erase(watched, &link);
}

void SiteClient::Impl::rescue() {
  std::erase_if(watched, [](SiteLink* link) {
    link->watched = link->rescue();
    return !link->watched;
  });
  if (!watched.empty()) rescue_timer.arm(loop, kRescueAfter);
}

// The loop has looked at the rings for a while instead of sleeping: what came of it.
void SiteClient::Impl::end_spin(ring::SpinPolicy::Outcome outcome) {
  if (!spinning) return;
  spinning = false;
  const auto now = loop::Clock::now();
  spin.learn(outcome, limits.spin_max, now - spin_began, now);
}

loop::Micros SiteClient::spin_budget() {
  Impl& impl = *impl_;
  if (impl.hot.empty() || impl.limits.spin_max.count() <= 0) return loop::Micros(0);
  const auto now = loop::Clock::now();
  const loop::Micros budget = impl.spin.budget(impl.limits.spin_max, now);
  if (budget.count() > 0) {
    impl.spinning = true;
    impl.spin_began = now;
  }
  return budget;
}

}  // namespace bulkhead::front
