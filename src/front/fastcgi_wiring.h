// Where the configuration meets the FastCGI code: a request's target, a generation's pool sockets.
//
// Runs in: front.  Input: Plan and descriptors from master (trusted).  Threads: the loop's own.
#pragma once

#include <vector>

#include "front/exchange.h"
#include "front/fastcgi_client.h"
#include "front/fastcgi_server.h"
#include "front/runtime.h"

namespace bulkhead::front {

// For FastcgiClient::start(): ex.target is kSocket.  Views point into `ex` and its plan.
[[nodiscard]] FastcgiTarget fastcgi_target(const Exchange& ex);
// For FastcgiService::update().
[[nodiscard]] std::vector<PoolSocket> pool_sockets(const Runtime& runtime);

}  // namespace bulkhead::front
