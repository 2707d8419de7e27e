// Text inside HTML pages that we write: listings, status pages.
//
// Runs in: front, workers.  Input: any bytes, hostile ones too.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead {

// Appends `text` with & < > " as &amp; &lt; &gt; &quot;; other bytes stay as they are.
void append_html_escaped(std::string& out, std::string_view text);

}  // namespace bulkhead
