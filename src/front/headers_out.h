// What happens to every response before its head is sent, and the head as bytes.
//
// Runs in: front.  Input: request headers and application headers (hostile).
// Threads: the request's loop.  Ref: nginx 1.22: not_modified, headers, charset, range, chunked and
// header filters, in this order.
#pragma once

#include <cstdint>
#include <string_view>

#include "front/exchange.h"

namespace bulkhead::front {

// 0: send what ex.response says.  Otherwise the response must be replaced by that status (412,
// 416).
uint16_t filter_response(Exchange& ex);
// Serialises the head into ex.head (empty for HTTP/0.9) and settles keep-alive, chunking and
// whether a body follows.
void write_head(Exchange& ex);

// Finds a header of the response; nullptr when it has none of that name.
ResponseHeader* find_header(Response& response, std::string_view name);
// Sets the first header of that name and removes the others; adds it when there is none.
void set_header(Response& response, std::string_view name, std::string_view value);
void remove_header(Response& response, std::string_view name);

// Content-Type by the extension of ex.uri, if none is set yet.
void set_content_type(Exchange& ex);
// ETag of a file with these times, if the location wants one.
void set_etag(Exchange& ex, int64_t mtime, uint64_t size);

}  // namespace bulkhead::front
