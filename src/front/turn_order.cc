// See turn_order.h.
#include "front/turn_order.h"

#include <algorithm>
#include <array>

namespace bulkhead::front {

Company take_turns(std::vector<Place>& places) {
  const bool mixed = std::any_of(places.begin(), places.end(), [&](const Place& place) {
    return place.account != places.front().account;
  });
  if (!mixed) return Company::kAlone;
  std::array<uint32_t, 256> seen{};
  for (Place& place : places) {
    // The upper bits of a product depend on all bits of the number.
    place.round = seen[(place.account * 0x9e3779b97f4a7c15U) >> 56]++;
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.round < b.round; });
  return Company::kMixed;
}

}  // namespace bulkhead::front
