// FastCGI 1.0 records, for both sides of a connection.
//
// Runs in: front.  Input: a client decodes what an application wrote, a server decodes what a web
// server wrote; both hostile.  Ref: FastCGI Specification 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bulkhead::http::fcgi {

constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderSize = 8;
constexpr size_t kContentMax = 65535;
constexpr uint16_t kDefaultPort = 9000;

enum class Type : uint8_t {
  kBeginRequest = 1,
  kAbortRequest = 2,
  kEndRequest = 3,
  kParams = 4,
  kStdin = 5,
  kStdout = 6,
  kStderr = 7,
  kData = 8,
  kGetValues = 9,
  kGetValuesResult = 10,
  kUnknownType = 11,
};
enum class Role : uint16_t { kResponder = 1, kAuthorizer = 2, kFilter = 3 };
enum class ProtocolStatus : uint8_t {
  kComplete = 0,
  kCantMultiplex = 1,
  kOverloaded = 2,
  kUnknownRole = 3
};
enum class KeepConn : uint8_t { kNo = 0, kYes = 1 };

struct Header {
  uint8_t version = kVersion;
  Type type{};
  uint16_t request_id = 0;
  uint16_t content_size = 0;
  uint8_t padding_size = 0;
};
Header read_header(const char* bytes);  // kHeaderSize bytes
void write_header(char* out, Type type, uint16_t request_id, size_t content_size, size_t padding);

// ---- encoding ---------------------------------------------------------------------------------
// Padding that brings a record to a multiple of 8 bytes.
constexpr size_t padding_for(size_t content_size) { return (8 - content_size % 8) % 8; }

void append_record(std::string& out, Type type, uint16_t request_id, std::string_view content);
void append_begin_request(std::string& out, uint16_t request_id, Role role, KeepConn keep);
void append_end_request(std::string& out, uint16_t request_id, uint32_t app_status,
                        ProtocolStatus status);
void append_unknown_type(std::string& out, uint8_t type);
// One name-value pair, without record header.
void append_pair(std::string& out, std::string_view name, std::string_view value);
// Cuts an encoded stream (params, stdin, stdout) into records of at most kContentMax; does not end
// it.
void append_stream(std::string& out, Type type, uint16_t request_id, std::string_view content);
// The empty record that ends a stream.
void append_stream_end(std::string& out, Type type, uint16_t request_id);

// ---- decoding -----------------------------------------------------------------------------------
// Reads name-value pairs of a complete buffer.
class PairReader {
 public:
  explicit PairReader(std::string_view bytes) : rest_(bytes) {}
  // False at the end, or when the bytes are broken (then broken() is true).
  bool next(std::string_view& name, std::string_view& value);
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  bool read_size(uint32_t& size);
  std::string_view rest_;
  bool broken_ = false;
};

enum class DecodeError : uint8_t {
  kNone,
  kVersion,    // unsupported FastCGI protocol version
  kType,       // a record type the other side may not send
  kRequestId,  // a record of another request
  kSize,       // a fixed-size record of another size
  kParams,     // broken name-value pairs, or params after their end
  kParamsTooLarge,
  kOrder,  // STDIN before the end of PARAMS, BEGIN inside a request, ...
};

// A piece of one record's content, or the end of one, as the records come by.
struct Piece {
  enum class Kind : uint8_t {
    kMore,       // all input consumed
    kContent,    // `data` belongs to a record of `type`
    kRecordEnd,  // the record's content (not its padding) is complete; `record_size` is its size
    kError,
  };
  Kind kind = Kind::kMore;
  size_t consumed = 0;
  std::string_view data;
  Header header;
};

// Splits a byte stream into records without copying.  Knows nothing of types.
class RecordSplitter {
 public:
  Piece next(std::string_view input);
  void clear() { *this = RecordSplitter(); }
  // Whether the stream stands between two records.
  [[nodiscard]] bool at_boundary() const { return state_ == State::kHeader && header_bytes_ == 0; }

 private:
  enum class State : uint8_t { kHeader, kContent, kEndOfContent, kPadding };
  State state_ = State::kHeader;
  uint8_t header_bytes_ = 0;
  char raw_[kHeaderSize];
  Header header_;
  uint32_t left_ = 0;
};

// What a web server hears from an application, for one request at a time.
class ClientDecoder {
 public:
  enum class Event : uint8_t {
    kMore,
    kStdout,     // data
    kStderr,     // data
    kStdoutEnd,  // empty STDOUT record
    kEnd,        // END_REQUEST: app_status(), protocol_status(); the request is over
    kError,      // error()
  };
  struct Output {
    Event event = Event::kMore;
    size_t consumed = 0;
    std::string_view data;
  };
  // The id used in BEGIN_REQUEST; nginx uses 1.
  explicit ClientDecoder(uint16_t request_id = 1) : id_(request_id) {}
  Output decode(std::string_view input);
  void clear() { *this = ClientDecoder(id_); }
  [[nodiscard]] DecodeError error() const { return error_; }
  // nginx's error-log sentence for error().
  [[nodiscard]] std::string error_text() const;
  [[nodiscard]] uint32_t app_status() const { return app_status_; }
  [[nodiscard]] ProtocolStatus protocol_status() const { return protocol_status_; }
  // Nothing of a record is half read: the connection may serve another request.
  [[nodiscard]] bool at_boundary() const { return splitter_.at_boundary(); }

 private:
  DecodeError check_header(const Header& header);
  RecordSplitter splitter_;
  uint16_t id_;
  DecodeError error_ = DecodeError::kNone;
  uint8_t bad_value_ = 0;
  bool bad_high_byte_ = false, ended_ = false;
  uint32_t app_status_ = 0;
  ProtocolStatus protocol_status_ = ProtocolStatus::kComplete;
  uint8_t end_bytes_ = 0;
  char end_body_[8] = {};
};

// What an application hears from a web server.  One request at a time per connection, as php-fpm:
// BEGIN_REQUEST with another id while one is active gives kBeginRefused.
class ServerDecoder {
 public:
  static constexpr size_t kParamsMax = 128 * 1024;  // the ring's request area bounds it
  static constexpr size_t kValuesMax = 4096;        // of one GET_VALUES record

  enum class Event : uint8_t {
    kMore,
    kBegin,         // request_id(), role(), keep_conn()
    kBeginRefused,  // another id while busy: answer END_REQUEST(kCantMultiplex) to refused_id()
    kParams,        // all params: params() holds the encoded pairs, checked
    kStdin,         // data
    kStdinEnd,
    kAbort,        // of the active request
    kGetValues,    // params() holds the encoded names asked for
    kUnknownType,  // a management record: answer append_unknown_type(unknown_type())
    kError,        // close the connection
  };
  struct Output {
    Event event = Event::kMore;
    size_t consumed = 0;
    std::string_view data;
  };
  Output decode(std::string_view input);
  // The active request was answered: the next BEGIN_REQUEST is welcome; late STDIN is dropped.
  void finish_request();

  [[nodiscard]] uint16_t request_id() const { return id_; }
  [[nodiscard]] uint16_t refused_id() const { return refused_id_; }
  [[nodiscard]] uint16_t role() const { return role_; }  // a Role, or an unknown number
  [[nodiscard]] KeepConn keep_conn() const { return keep_; }
  [[nodiscard]] std::string_view params() const { return buffer_; }
  [[nodiscard]] std::string_view values() const { return values_; }
  [[nodiscard]] uint8_t unknown_type() const { return unknown_type_; }
  [[nodiscard]] DecodeError error() const { return error_; }
  [[nodiscard]] bool at_boundary() const { return splitter_.at_boundary(); }

 private:
  enum class Phase : uint8_t { kIdle, kParams, kStdin, kBody };
  DecodeError check_header(const Header& header) const;
  DecodeError take_content(const Piece& piece, Output& out);
  DecodeError take_record_end(const Piece& piece, Output& out);
  DecodeError take_begin(const Header& header, Output& out);
  [[nodiscard]] bool is_active(const Header& header) const {
    return phase_ != Phase::kIdle && header.request_id == id_;
  }

  RecordSplitter splitter_;
  Phase phase_ = Phase::kIdle;
  uint16_t id_ = 0, refused_id_ = 0, role_ = 0;
  KeepConn keep_ = KeepConn::kNo;
  DecodeError error_ = DecodeError::kNone;
  uint8_t unknown_type_ = 0;
  bool values_done_ = false;  // values_ was handed out: the next record starts anew
  uint8_t fixed_bytes_ = 0;
  char fixed_[8] = {};
  std::string buffer_, values_;
};

}  // namespace bulkhead::http::fcgi
