#include "base/error.h"

namespace bulkhead {

std::string Error::describe() const {
  if (errno_value == 0) return text;
  return text + " (" + std::to_string(errno_value) + ": " + std::strerror(errno_value) + ")";
}

}  // namespace bulkhead
