// Tells systemd what state we are in (sd_notify's datagram), when it asked to be told.
//
// Runs in: master.  Ref: sd_notify(3), systemd 252.
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include "sys/fd.h"

namespace bulkhead::sys {

// Sends "READY=1" and the like to $NOTIFY_SOCKET; does nothing without it.
void notify_service_manager(std::string_view state);

// How long systemd waits for a sign of life (WATCHDOG=1) before it ends us; zero: it does not wait.
[[nodiscard]] std::chrono::microseconds watchdog_patience();

// Sockets systemd passed ($LISTEN_PID, $LISTEN_FDS), made CLOEXEC; taken once.
[[nodiscard]] std::vector<Fd> take_activation_sockets();

}  // namespace bulkhead::sys
