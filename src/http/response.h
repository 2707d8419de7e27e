// Words of responses: status lines and the built-in error pages.
//
// Runs in: front.  Input: none hostile.  Ref: nginx 1.22 output, byte for byte.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::http {

// "404 Not Found"; statuses nginx has no words for give "599 " (digits and a space).
// 494..498 must be mapped by the caller (wire_status).  The view is static for known statuses.
std::string_view status_text(int status, char (&scratch)[8]);
// Appends "HTTP/1.1 404 Not Found\r\n".
void append_status_line(std::string& out, int status);

// What goes on the wire for nginx's internal statuses: 494, 495, 496, 497 -> 400; others as they
// are.
int wire_status(int status);

// Whether nginx has a built-in page for this status (301..308, 400.., 500..).
bool has_error_page(int status);
enum class MsiePadding : bool { kNo, kYes };
// Appends the built-in HTML page; `server` is the line under the rule ("nginx/1.22.1", "nginx").
// The 4xx/5xx pages take the padding that old MSIE and Chrome need to show them, if asked
// (msie_padding on and $http_user_agent is one of those).
void append_error_page(std::string& out, int status, std::string_view server, MsiePadding padding);
// Whether a user agent gets the padding: MSIE, and Chrome before it stopped to need it.
bool wants_msie_padding(std::string_view user_agent);
// The page for a 301/302... whose Location the Refresh header carries (msie_refresh on).
void append_refresh_page(std::string& out, std::string_view escaped_location);

}  // namespace bulkhead::http
