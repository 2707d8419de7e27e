// One CGI-style exchange with an application: a slot of a site's ring or a FastCGI connection.
//
// Runs in: front.  Input: everything the application sends is hostile.
// Threads: one event loop.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::front {

// CGI variables in order, names may repeat.  Flat so that it can be reused between requests.
class Params {
 public:
  void clear() {
    bytes_.clear();
    items_.clear();
  }
  void add(std::string_view name, std::string_view value) {
    items_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(name.size()),
                      static_cast<uint32_t>(value.size())});
    bytes_.append(name);
    bytes_.append(value);
  }
  [[nodiscard]] size_t size() const { return items_.size(); }
  // Of all names and values together.
  [[nodiscard]] size_t bytes() const { return bytes_.size(); }
  [[nodiscard]] std::string_view name(size_t i) const {
    return std::string_view(bytes_).substr(items_[i].at, items_[i].name);
  }
  [[nodiscard]] std::string_view value(size_t i) const {
    return std::string_view(bytes_).substr(items_[i].at + items_[i].name, items_[i].value);
  }

 private:
  struct Item {
    uint32_t at, name, value;
  };
  std::string bytes_;
  std::vector<Item> items_;
};

enum class AppError : uint8_t {
  kNone,
  kConnect,         // connect() failed, or the site could not be started          -> 502
  kConnectTimeout,  //                                                              -> 504
  kClosed,          // died or closed before a complete head                        -> 502
  kClosedInBody,    // died after the head was passed on: the response is cut short
  kTimeout,         // read or send timeout                                         -> 504
  kInvalid,         // broke protocol, or an invalid or too big head                -> 502
  kBusy,            // too many requests wait for this site                         -> 503
};

struct AppEnd {
  uint32_t app_status = 0;
  uint32_t cpu_us = 0;
  uint64_t memory_peak = 0;
};

class AppStream;

// Where an AppStream reports.  Calls come from the loop, never from inside start().
class AppListener {
 public:
  virtual ~AppListener() = default;
  // The complete CGI header block, a private copy ("Status: ...\r\n...\r\n\r\n" or with bare LF).
  virtual void on_app_head(std::string_view block) = 0;
  // Body bytes are there (peek()), or more of them, or the end was reached (ended()).
  virtual void on_app_readable() = 0;
  virtual void on_app_stderr(std::string_view text) = 0;
  // Nothing follows.  `detail` is for the error log ("Connection refused", "worker exited on signal
  // 9").
  virtual void on_app_error(AppError error, std::string_view detail) = 0;
  // There is room for request body again.
  virtual void on_app_writable() = 0;
  // The application is gone and has taken nothing of the request; another is to have it.  True: the
  // body will be written again, from its first byte that did not come with the request.
  virtual bool on_app_repeat() { return false; }
};

// Destroying it aborts the exchange.
class AppStream {
 public:
  virtual ~AppStream() = default;

  // Request body.  Returns bytes taken (0: wait for on_app_writable).
  virtual size_t write_body(std::string_view bytes) = 0;
  // Where the next body bytes may be put in place: up to two pieces.  0: no room, wait for
  // on_app_writable.  -1: nowhere, use write_body().
  virtual int body_room(std::array<iovec, 2>&) { return -1; }
  // So many bytes were put where body_room() said.
  virtual void body_filled(size_t) {}
  // No more body follows.
  virtual void finish_body() = 0;

  // Response body, zero-copy: up to `max` pieces that stay valid until consume().
  virtual size_t peek(iovec* pieces, size_t max) = 0;
  virtual void consume(size_t bytes) = 0;
  // Whether more arrives behind what peek() shows while nothing is consumed.  Where it does not,
  // waiting for a fuller write would be waiting for ever.
  [[nodiscard]] virtual bool gathers() const { return true; }
  // All body consumed and the application finished the response.
  [[nodiscard]] virtual bool ended() const = 0;
  // After peek(): the pieces it returned are all that remains, the application has finished.  Lets
  // the last bytes and the end of the framing leave in one write; false is always safe to say.
  [[nodiscard]] virtual bool last_peeked() const { return ended(); }
  // The application asked to flush at the current point (PHP flush()); cleared by reading it.
  virtual bool take_flush() = 0;
  [[nodiscard]] virtual const AppEnd& end() const = 0;
};

}  // namespace bulkhead::front
