// What front and a zygote ask about sites, taken from their messages.
//
// Runs in: master.  Input: payloads of less privileged processes, whose operation and size the
// permit table has checked; every value in them is hostile.
#pragma once

#include <string_view>
#include <vector>

#include "ipc/protocol.h"
#include "master/sites.h"

namespace bulkhead::master {

// Does what the message asks for; `front` is the number of the front that sent it (0: a zygote).
// False: it is not about sites.  A descriptor is moved out of
// `fds`.
bool take_site_request(Sites& sites, uint32_t front, ipc::Op op, std::string_view payload,
                       std::vector<sys::Fd>& fds);

}  // namespace bulkhead::master
