#include "front/phases.h"

#include <algorithm>

#include "front/request_log.h"
#include "front/site_shares.h"
#include "front/steps.h"
#include "front/variables.h"

namespace bulkhead::front {

using config::LogLevel;

struct Phases::Impl : Steps {
  using Steps::Steps;
};

namespace {

// For the site that answered, or whose files these would have been.
void count_request(const Exchange& ex, const Ambient& ambient) {
  if (ambient.shares == nullptr) return;
  ServedRequest done;
  done.status = ex.error_status != 0 ? ex.error_status : ex.response.status;
  done.bytes_in = ex.request->head_size() + ex.request_body_bytes;
  done.bytes_out = ex.bytes_sent;
  done.took = ambient.loop->now() - ex.started;
  done.ended_s = ambient.loop->wall_seconds();
  const bool is_pool = ex.target.kind == AppTarget::Kind::kSite;
  ambient.shares->counters().count(is_pool ? ex.target.site : ex.server->opener, done);
}

}  // namespace

Phases::Phases(Ambient ambient, Files& files, Output& output)
    : ambient_(std::move(ambient)), impl_(std::make_unique<Impl>(ambient_, files, output)) {
  ambient_.phases = this;
}

Phases::~Phases() = default;

void Phases::start(Exchange& ex) {
  impl_->prepare(ex, *this, Steps::Head::kValid);
  impl_->run(ex);
}

void Phases::go_on(Exchange& ex, bool on) {
  if (on) impl_->run(ex);
}

void Phases::reject(Exchange& ex, uint16_t status, std::string_view reason, LogLevel level) {
  impl_->prepare(ex, *this, Steps::Head::kRejected);
  if (!reason.empty()) {
    line_.assign(reason);
    if (reason.find(" while ") == std::string_view::npos) {
      line_ += ex.request->in_request_line() ? " while reading client request line"
                                             : " while reading client request headers";
    }
    impl_->log(ex, level, line_, 0);
  }
  ex.keepalive = false;
  if (ex.method_name.empty() || ex.method != http::Method::kHead) ex.method = http::Method::kGet;
  if (ex.uri.empty()) ex.uri = "/";
  go_on(ex, impl_->fail(ex, status) == Next::kOn);
}

void Phases::on_body_error(Exchange& ex, uint16_t status, std::string_view reason, LogLevel level) {
  if (!reason.empty()) impl_->log(ex, level, reason, 0);
  ex.waiting->clear();
  if (ex.response.head_sent) return;
  go_on(ex, impl_->fail(ex, status) == Next::kOn);
}

bool Phases::choose_peer(Exchange& ex) {
  if (impl_->choose_peer(ex) == Steps::Peer::kChosen) return true;
  go_on(ex, impl_->fail(ex, 502) == Next::kOn);
  return false;
}

void Phases::on_site_full(Exchange& ex, uint32_t site, std::string_view why) {
  go_on(ex, impl_->site_full(ex, site, why) == Next::kOn);
}

void Phases::build_params(Exchange& ex) { impl_->build_params(ex); }

void Phases::on_app_head(Exchange& ex, std::string_view block) {
  go_on(ex, impl_->app_head(ex, block) == Next::kOn);
}

void Phases::on_app_error(Exchange& ex, AppError error, std::string_view detail) {
  go_on(ex, impl_->app_error(ex, error, detail) == Next::kOn);
}

void Phases::on_app_stderr(Exchange& ex, std::string_view text) {
  size_t end = text.find_last_not_of("\r\n. ");
  std::string_view trimmed = text.substr(0, end == std::string_view::npos ? 1 : end + 1);
  line_ = "FastCGI sent in stderr: \"";
  for (size_t i = 0; i < trimmed.size(); ++i) {
    char c = trimmed[i];
    auto byte = static_cast<unsigned char>(c);
    char next = i + 1 < trimmed.size() ? trimmed[i + 1] : '\0';
    // Line ends stay, as in nginx: one message of an application may have several lines.  Nothing
    // else may steer a terminal, and a line that would begin as the log's own do is moved in.
    bool kept = c == '\n' || c == '\t' || (c == '\r' && next == '\n');
    line_ += (byte < 0x20 || byte == 0x7f) && !kept ? '.' : c;
    if (c == '\n' && next >= '0' && next <= '9') line_ += ' ';
  }
  line_ += ex.response.head_sent ? "\" while reading upstream"
                                 : "\" while reading response header from upstream";
  impl_->log_app(ex, line_);
  if (ex.response.head_sent) return;
  for (const std::string& pattern : ex.conf().fastcgi.catch_stderr) {
    if (text.find(pattern) == std::string_view::npos) continue;
    on_app_error(ex, AppError::kInvalid, "upstream sent in stderr what fastcgi_catch_stderr names");
    return;
  }
}

void Phases::finish(Exchange& ex) {
  if (ex.logged || ex.location == nullptr) return;
  ex.logged = true;
  if (!ex.response.head_sent && ex.response.status != 444 && ex.response.status != 408) {
    ex.error_status = 0;
    ex.response.status = 499;
  }
  if (ex.waiting) ex.waiting->clear();
  ambient_.times->update(ambient_.loop->wall_seconds());
  impl_->write_access_logs(ex);
  count_request(ex, ambient_);
}

void Phases::log_error(const Exchange& ex, LogLevel level, std::string_view text, int errno_value) {
  impl_->log(const_cast<Exchange&>(ex), level, text, errno_value);
}

void Steps::log(Exchange& ex, LogLevel level, std::string_view text, int errno_value) {
  write_line(ex, level, text, errno_value, &Output::write_error_log);
}

void Steps::log_app(Exchange& ex, std::string_view text) {
  write_line(ex, LogLevel::kError, text, 0, &Output::write_app_log);
}

void Steps::write_line(Exchange& ex, LogLevel level, std::string_view text, int errno_value,
                       LogFunction write) {
  if (ex.ambient == nullptr) ex.ambient = &ambient_;
  const auto& logs =
      ex.location != nullptr ? ex.conf().error_logs : ex.plan->model().http_defaults->error_logs;
  if (!wants_level(logs, level)) return;
  std::string line;
  append_error_line(line, ex, level, text, errno_value);
  (output_.*write)(ex, logs, level, line);
}

void Steps::write_access_logs(Exchange& ex) {
  for (const config::AccessLog& log : ex.conf().access_logs) {
    if (!wants_access_line(ex, log)) continue;
    line_.clear();
    append_access_line(line_, ex, ex.plan->model().log_formats[log.format]);
    std::string_view path;
    if (log.file == config::kNone) {
      path = evaluate(ex, log.path);
      if (path.empty()) continue;
    }
    output_.write_access_log(ex, log, ex.server->opener, path, line_);
  }
}

void Suspension::on_file(FileRef file) {
  pending_ = nullptr;
  file_ = std::move(file);
  phases_.go_on(ex_, true);
}

void Suspension::on_realpath(std::string_view path, int error) {
  pending_ = nullptr;
  realpath_here_ = true;
  ex_.realpath_root = error == 0 ? ex_.arena.copy(path) : std::string_view();
  phases_.go_on(ex_, true);
}

}  // namespace bulkhead::front
