// In which order connections that became ready together are served: the first of each site, then
// the second of each, and so on, so that who has one request does not wait behind another site's
// hundred.
//
// Runs in: front.  Input: numbers of our own.  Threads: any; pure.
#pragma once

#include <cstdint>
#include <vector>

namespace bulkhead::front {

class Connection;

// One connection that is ready.
struct Place {
  uint64_t account = 0;  // whose work it is (Connection::account)
  Connection* connection = nullptr;
  uint32_t round = 0;  // set by take_turns()
};

enum class Company : uint8_t { kAlone, kMixed };
// Orders `places`; within one account they stay as they are.  kAlone: all were of one account.
// Accounts are told apart by 256 hash values: two may, rarely, count as one.
Company take_turns(std::vector<Place>& places);

}  // namespace bulkhead::front
