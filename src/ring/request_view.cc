// Reads the request that front put into a slot.
//
// Runs in: workers.  Input: front's bytes; every size is checked against the area.
#include <cstring>

#include "ring/worker_ring.h"

namespace bulkhead::ring {

bool RequestView::open(std::span<const unsigned char> area) {
  area_ = area;
  header_ = {};
  if (area.size() < sizeof header_) return false;
  std::memcpy(&header_, area.data(), sizeof header_);
  size_t room = area.size() - sizeof header_;
  bool ok =
      header_.params_bytes <= room && header_.inline_body_bytes <= room - header_.params_bytes;
  ok =
      ok && (header_.body_bytes == kUnknownBody || header_.inline_body_bytes <= header_.body_bytes);
  ok = ok && (header_.peer_bytes == 0 || header_.peer_bytes == 4 || header_.peer_bytes == 16);
  if (!ok) header_ = {};
  rewind();
  return ok;
}

bool RequestView::next(std::string_view& name, std::string_view& value) {
  if (left_ == 0) return false;
  size_t end = sizeof(RequestHeader) + header_.params_bytes;
  size_t room = end - at_;
  NameValue sizes;
  constexpr size_t kFixed = sizeof sizes + 2;
  left_ = left_ - 1;
  if (room >= kFixed) {
    std::memcpy(&sizes, area_.data() + at_, sizeof sizes);
    room -= kFixed;
    if (sizes.name_size <= room && sizes.value_size <= room - sizes.name_size) {
      const char* at = reinterpret_cast<const char*>(area_.data()) + at_ + sizeof sizes;
      name = {at, sizes.name_size};
      value = {at + sizes.name_size + 1, sizes.value_size};
      at_ += kFixed + sizes.name_size + sizes.value_size;
      return true;
    }
  }
  left_ = 0;
  return false;
}

std::string_view RequestView::inline_body() const {
  return {
      reinterpret_cast<const char*>(area_.data()) + sizeof(RequestHeader) + header_.params_bytes,
      header_.inline_body_bytes};
}

}  // namespace bulkhead::ring
