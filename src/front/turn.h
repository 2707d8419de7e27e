// What one request needs while it is read and answered; taken from a pool by the connection that
// has a request, so that idle connections hold none of it.
//
// Runs in: front.  Threads: one loop.
#pragma once

#include <memory>

#include "front/app_body.h"
#include "front/app_bridge.h"
#include "front/body_reader.h"
#include "front/body_source.h"
#include "front/exchange.h"
#include "front/response_writer.h"
#include "front/site_client.h"
#include "front/site_shares.h"
#include "http/request_parser.h"

namespace bulkhead::front {

class Connection;
class ServerLoop;
struct LoopGeneration;

struct Turn {
  explicit Turn(ServerLoop& loop) : app(loop, *this) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Connection* connection = nullptr;
  std::shared_ptr<LoopGeneration> generation;  // the configuration this request is served by
  http::RequestParser parser;
  http::HeadWindow window{0, 0, 0};
  size_t head_allowed = 0;  // bytes of a head that may be looked at now
  Exchange ex;
  BodyReader body;
  PiecesBody pieces;
  AppBody app_body;
  AppBridge app;
  ResponseWriter writer;
  FileTicket spool;         // a spool file was asked for
  SiteHold hold;            // its place in the site that answers
  uint8_t spool_tries = 0;  // directories tried for it
  bool spool_asked = false;
  bool absorb_waits = false;   // for the site's turn to copy aside
  bool continue_sent = false;  // "100 Continue" has been dealt with
  bool client_gone = false;    // nobody is left to answer: only the log line is due
  bool finished = false;       // Phases::finish() was called

  // Ready for another request of any connection.
  void reset();
};

}  // namespace bulkhead::front
