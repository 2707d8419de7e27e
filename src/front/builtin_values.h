// The builtin variables, by what they are about.  Each returns false when `var` is none of its.
//
// Runs in: front.  Input: request values (hostile).  Threads: the request's loop.
#pragma once

#include "config/template.h"
#include "front/exchange.h"

namespace bulkhead::front {

bool request_variable(Exchange& ex, config::Var var, Value* out);     // line, headers, body
bool routing_variable(Exchange& ex, config::Var var, Value* out);     // uri, files, server
bool connection_variable(Exchange& ex, config::Var var, Value* out);  // addresses, counts
bool time_variable(Exchange& ex, config::Var var, Value* out);
bool response_variable(Exchange& ex, config::Var var, Value* out);
bool upstream_variable(Exchange& ex, config::Var var, Value* out);

}  // namespace bulkhead::front
