#include "front/turn.h"

namespace bulkhead::front {

void Turn::reset() {
  spool.cancel();
  app.stop();
  writer.reset();
  app_body.reset();
  body.reset();
  hold.release();
  ex.reset();
  ex.plan.reset();
  ex.connection = nullptr;
  ex.owner = nullptr;
  parser.clear();
  generation.reset();
  connection = nullptr;
  head_allowed = 0;
  spool_tries = 0;
  spool_asked = absorb_waits = false;
  continue_sent = client_gone = finished = false;
}

}  // namespace bulkhead::front
