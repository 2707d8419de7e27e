#include "front/turn_order.h"

#include <gtest/gtest.h>

namespace bulkhead::front {
namespace {

std::vector<Place> ready(std::initializer_list<uint64_t> accounts) {
  std::vector<Place> places;
  for (const uint64_t account : accounts) places.push_back({.account = account});
  return places;
}
std::vector<uint64_t> order(const std::vector<Place>& places) {
  std::vector<uint64_t> accounts;
  for (const Place& place : places) accounts.push_back(place.account);
  return accounts;
}

TEST(TurnOrder, OneOfEachBeforeTheSecondOfAny) {
  auto places = ready({1, 1, 1, 1, 2, 3, 3});
  EXPECT_EQ(Company::kMixed, take_turns(places));
  EXPECT_EQ((std::vector<uint64_t>{1, 2, 3, 1, 3, 1, 1}), order(places));
}

TEST(TurnOrder, ALoneRequestIsNeverBehindMoreThanOneOfEachOther) {
  std::vector<Place> places(200, Place{.account = 7});
  places.push_back({.account = 8});
  take_turns(places);
  EXPECT_EQ(8u, places[1].account);
}

TEST(TurnOrder, OfOneAccountTheOrderStays) {
  std::vector<Place> places;
  for (uint32_t i = 0; i < 50; ++i) places.push_back({.account = i % 3, .round = i});
  // The field is overwritten: tells which was which by the address instead.
  for (size_t i = 0; i < places.size(); ++i) {
    places[i].connection = reinterpret_cast<Connection*>(i + 1);
  }
  take_turns(places);
  for (uint64_t account = 0; account < 3; ++account) {
    Connection* last = nullptr;
    for (const Place& place : places) {
      if (place.account != account) continue;
      EXPECT_LT(last, place.connection);
      last = place.connection;
    }
  }
}

TEST(TurnOrder, AloneNothingMoves) {
  auto places = ready({5, 5, 5});
  EXPECT_EQ(Company::kAlone, take_turns(places));
  auto none = ready({});
  EXPECT_EQ(Company::kAlone, take_turns(none));
}

}  // namespace
}  // namespace bulkhead::front
