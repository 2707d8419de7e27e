// Which of the names there are was probably meant.
//
// Runs in: whatever takes words that people type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

// The name with the fewest letters put in, left out, replaced or swapped with the next one, when
// these are few for its length; the first of equals.  "": none is near.
[[nodiscard]] std::string nearest(std::string_view typed, const std::vector<std::string>& names);

// `; did you mean "NAME"?`, or "" when none is near.
[[nodiscard]] std::string did_you_mean(std::string_view typed,
                                       const std::vector<std::string>& names);

}  // namespace bulkhead
