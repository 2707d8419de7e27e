// The content of a request: try_files, files, index files, directory listings, small built-ins.
//
// Runs in: front.  Input: request paths (hostile); answers of the site's opener.
// Ref: nginx core (try_files), static, index, stub_status and empty_gif modules, 1.22.
#include <fcntl.h>

#include <algorithm>

#include "front/headers_out.h"
#include "front/metrics_desk.h"
#include "front/steps.h"
#include "front/variables.h"
#include "http/uri.h"

namespace bulkhead::front {

using config::LogLevel;
using http::Method;

namespace {

constexpr bool is_missing(int error) {
  return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;
}
constexpr bool is_forbidden(int error) {
  return error == EACCES || error == ELOOP || error == EMLINK || error == EPERM;
}
bool is_there(const OpenFile& file) {
  return file.error == 0 || (file.error == EACCES && file.exists);
}
std::string quoted(std::string_view path) { return "\"" + std::string(path) + "\""; }

std::string_view joined(Exchange& ex, std::string_view a, std::string_view b) {
  char* at = ex.arena.allocate(a.size() + b.size());
  std::copy(b.begin(), b.end(), std::copy(a.begin(), a.end(), at));
  return {at, a.size() + b.size()};
}

void split_args(std::string_view text, std::string_view* uri, std::string_view* args) {
  size_t mark = text.find('?');
  *uri = text.substr(0, mark);
  *args = mark == std::string_view::npos ? std::string_view("", 0) : text.substr(mark + 1);
}

// nginx evaluates a text with variables against the alias location and cuts its prefix off.
std::string_view without_alias(const Exchange& ex, const config::Template& text,
                               std::string_view value) {
  if (!ex.conf().is_alias || text.is_literal()) return value;
  size_t cut = ex.location->alias_cut;
  if (cut == LocationPlan::kWholeUri || cut > ex.uri.size()) return value;
  return value.starts_with(ex.uri.substr(0, cut)) ? value.substr(cut) : value;
}

}  // namespace

// ---- try_files ----------------------------------------------------------------------------------

Next Steps::try_files(Exchange& ex) {
  const auto& conf = ex.conf().try_files;
  if (!conf) return Next::kOn;
  uint32_t& index = ex.waiting->index;
  for (; index < conf->items.size(); ++index) {
    const config::TryFiles::Item& item = conf->items[index];
    std::string_view name = without_alias(ex, item.path, evaluate(ex, item.path));
    std::string_view path = joined(ex, document_root(ex), name);
    FileRef file = ask(ex, path);
    if (!file) return Next::kWait;
    // A link that the rule refuses is there: going on would hide it behind the next item, so it is
    // taken, and the content step answers 403.
    const bool refused = file->error == ELOOP;
    if (!refused && !is_there(*file)) {
      if (!is_missing(file->error)) {
        log(ex, LogLevel::kCrit, "stat() " + quoted(path) + " failed", file->error);
      }
      continue;
    }
    if (!refused && (file->type == ipc::FileType::kDirectory) != item.wants_dir) continue;
    index = 0;
    if (!ex.conf().is_alias) {
      ex.uri = name;
    } else if (ex.location->alias_cut != LocationPlan::kWholeUri) {
      ex.uri = joined(ex, ex.uri.substr(0, ex.location->alias_cut), name);
    } else if (!item.wants_dir) {
      ex.uri = name;
      ex.add_uri_to_alias = true;
    }
    return Next::kOn;
  }
  index = 0;
  return try_final(ex, *conf);
}

Next Steps::try_final(Exchange& ex, const config::TryFiles& conf) {
  if (conf.final_status != 0) return fail(ex, conf.final_status);
  std::string_view text = without_alias(ex, conf.final_uri, evaluate(ex, conf.final_uri));
  if (text.starts_with('@')) return named_location(ex, text);
  std::string_view uri, args;
  split_args(text, &uri, &args);
  return internal_redirect(ex, uri, args);
}

// ---- content ------------------------------------------------------------------------------------

Next Steps::content(Exchange& ex) {
  switch (static_cast<Handler>(ex.handler)) {
    case Handler::kApp:
      return start_app(ex);
    case Handler::kStubStatus:
      return stub_status(ex);
    case Handler::kEmptyGif:
      return empty_gif(ex);
    case Handler::kMetrics:
      return metrics(ex);
    case Handler::kStatic:
      break;
  }
  if (ex.conf().is_alias && !ex.location_is_valid) {
    log(ex, LogLevel::kAlert,
        "\"alias\" cannot be used in location " + quoted(ex.location->source->text) +
            " where URI was rewritten",
        0);
    return fail(ex, 500);
  }
  return ex.uri.ends_with('/') ? index_file(ex) : static_file(ex);
}

Next Steps::static_file(Exchange& ex) {
  if (ex.method != Method::kGet && ex.method != Method::kHead && ex.method != Method::kPost) {
    return fail(ex, 405);
  }
  std::string_view path = path_of_uri(ex).path;
  FileRef file = ask(ex, path);
  if (!file) return Next::kWait;
  if (file->error == 0) {
    if (file->type == ipc::FileType::kDirectory) return redirect_to_directory(ex);
    if (ex.method == Method::kPost) return fail(ex, 405);
    if (file->type == ipc::FileType::kRegular) return send_file(ex, std::move(file));
    log(ex, LogLevel::kCrit, quoted(path) + " is not a regular file", 0);
    return fail(ex, 404);
  }
  if (file->type == ipc::FileType::kDirectory && file->error == EACCES) {
    return redirect_to_directory(ex);
  }
  uint16_t status = is_missing(file->error) ? 404 : is_forbidden(file->error) ? 403 : 500;
  if (status != 404 || ex.conf().log_not_found) {
    log(ex, status == 500 ? LogLevel::kCrit : LogLevel::kError,
        "open() " + quoted(path) + " failed", file->error);
  }
  return fail(ex, status);
}

Next Steps::send_file(Exchange& ex, FileRef file) {
  Response& r = ex.response;
  r.status = 200;
  r.content_length = static_cast<int64_t>(file->size);
  r.last_modified = file->mtime;
  set_etag(ex, file->mtime, file->size);
  set_content_type(ex);
  r.allow_ranges = true;
  r.body = BodyKind::kPieces;
  r.pieces.clear();
  if (file->size != 0) r.pieces.push_back({{}, 0, file->size});
  r.file = std::move(file);
  return respond(ex);
}

Next Steps::redirect_to_directory(Exchange& ex) {
  std::string target;
  http::append_escaped(target, ex.uri, http::Escape::kUri);
  target += '/';
  if (!ex.args.empty()) {
    target += '?';
    target += ex.args;
  }
  ex.response.location = ex.arena.copy(target);
  return fail(ex, 301);
}

// ---- index --------------------------------------------------------------------------------------

Next Steps::index_file(Exchange& ex) {
  if (ex.method != Method::kGet && ex.method != Method::kHead && ex.method != Method::kPost) {
    return fail(ex, 405);
  }
  const config::LocConf& conf = ex.conf();
  Suspension& state = *ex.waiting;
  std::string_view directory = path_of_uri(ex).path;
  for (; state.index < conf.index.size(); ++state.index) {
    std::string_view name = evaluate(ex, conf.index[state.index]);
    if (name.starts_with('/')) return internal_redirect(ex, name, ex.args);
    std::string_view path = joined(ex, directory, name);
    if (!state.directory_asked) {
      FileRef file = ask(ex, path);
      if (!file) return Next::kWait;
      if (is_there(*file)) return internal_redirect(ex, joined(ex, ex.uri, name), ex.args);
      if (file->error == ELOOP || file->error == EMLINK) return fail(ex, 403);
      if (file->error == ENOTDIR || file->error == ENAMETOOLONG || file->error == EACCES) {
        return index_error(ex, path, file->error);
      }
      if (file->error != ENOENT) {
        log(ex, LogLevel::kCrit, "stat() " + quoted(path) + " failed", file->error);
        return fail(ex, 500);
      }
    }
    if (state.directory_tested) continue;
    state.directory_asked = true;
    Next next = test_directory(ex, directory, path);
    if (next != Next::kOn || !state.directory_tested) return next;
    state.directory_asked = false;
  }
  return autoindex(ex);
}

// Sets directory_tested when the directory is there; else answers.  `index` is named in the log.
Next Steps::test_directory(Exchange& ex, std::string_view path, std::string_view index) {
  std::string_view name = path;
  if (name.size() > 1 && name.ends_with('/')) name.remove_suffix(1);
  FileRef file = ask(ex, name);
  if (!file) return Next::kWait;
  if (is_there(*file) && file->type == ipc::FileType::kDirectory) {
    ex.waiting->directory_tested = true;
    return Next::kOn;
  }
  if (is_there(*file)) {
    log(ex, LogLevel::kAlert, quoted(name) + " is not a directory", 0);
    return fail(ex, 500);
  }
  if (file->error == ELOOP || file->error == EMLINK) return fail(ex, 403);
  if (is_missing(file->error) || file->error == EACCES) {
    return index_error(ex, index, file->error);
  }
  log(ex, LogLevel::kCrit, "stat() " + quoted(name) + " failed", file->error);
  return fail(ex, 500);
}

Next Steps::index_error(Exchange& ex, std::string_view path, int error) {
  if (error == EACCES) {
    log(ex, LogLevel::kError, quoted(path) + " is forbidden", error);
    return fail(ex, 403);
  }
  if (ex.conf().log_not_found) log(ex, LogLevel::kError, quoted(path) + " is not found", error);
  return fail(ex, 404);
}

Next Steps::autoindex(Exchange& ex) {
  bool readable = ex.method == Method::kGet || ex.method == Method::kHead;
  if (!ex.conf().autoindex || !readable) {
    log(ex, LogLevel::kError,
        "directory index of " + quoted(path_of_uri(ex).path) + " is forbidden", 0);
    return fail(ex, 403);
  }
  std::string_view path = path_of_uri(ex).path;
  std::string_view name = path;
  if (name.size() > 1 && name.ends_with('/')) name.remove_suffix(1);
  FileRef listing = ex.waiting->take_file();
  if (!listing || !ex.waiting->listing_asked) {
    ex.waiting->listing_asked = true;
    files_.list(query(ex, name), *ex.waiting);
    return Next::kWait;
  }
  ex.waiting->listing_asked = false;
  if (listing->error == 0) return send_listing(ex, listing, path);
  uint16_t status = is_missing(listing->error) ? 404 : is_forbidden(listing->error) ? 403 : 500;
  log(ex, status == 500 ? LogLevel::kCrit : LogLevel::kError,
      "opendir() " + quoted(name) + " failed", listing->error);
  return fail(ex, status);
}

// ---- small built-ins ----------------------------------------------------------------------------

Next Steps::stub_status(Exchange& ex) {
  if (ex.method != Method::kGet && ex.method != Method::kHead) return fail(ex, 405);
  auto text = [](const std::atomic<uint64_t>& n) {
    return std::to_string(n.load(std::memory_order_relaxed));
  };
  const ServerCounters& c = *ambient_.counters;
  std::string& body = ex.response.body_text;
  body = "Active connections: " + text(c.active) + " \nserver accepts handled requests\n " +
         text(c.accepted) + " " + text(c.handled) + " " + text(c.requests) +
         " \nReading: " + text(c.reading) + " Writing: " + text(c.writing) +
         " Waiting: " + text(c.waiting) + " \n";
  return answer_text(ex, 200, "text/plain", body);
}

Next Steps::empty_gif(Exchange& ex) {
  if (ex.method != Method::kGet && ex.method != Method::kHead) return fail(ex, 405);
  // One transparent pixel.  Ref: GIF89a.
  static constexpr unsigned char kGif[] = {
      'G', 'I',  'F',  '8',  '9',  'a',  1, 0, 1, 0,    0x80, 1, 0,    0, 0,
      0,   0xff, 0xff, 0xff, 0x21, 0xf9, 4, 1, 0, 0,    1,    0, 0x2c, 0, 0,
      0,   0,    1,    0,    1,    0,    0, 2, 2, 0x4c, 1,    0, 0x3b};
  static_assert(sizeof kGif == 43);
  ex.response.last_modified = 23349600;
  return answer_text(ex, 200, "image/gif", {reinterpret_cast<const char*>(kGif), sizeof kGif});
}

// bulkhead_metrics: what master has written about every site.
Next Steps::metrics(Exchange& ex) {
  if (ex.method != Method::kGet && ex.method != Method::kHead) return fail(ex, 405);
  FileRef text = ex.waiting->take_file();
  if (!text) {
    if (ambient_.metrics == nullptr) return fail(ex, 503);
    ambient_.metrics->ask(*ex.waiting);
    return Next::kWait;
  }
  if (text->error != 0) {
    log(ex, LogLevel::kError, "the metrics could not be had from the master process", text->error);
    return fail(ex, 503);
  }
  Response& r = ex.response;
  r.status = 200;
  r.content_length = static_cast<int64_t>(text->size);
  // Ref: Prometheus "Exposition formats", text format 0.0.4.
  r.content_type = "text/plain; version=0.0.4; charset=utf-8";
  r.content_type_is_complete = true;
  r.body = BodyKind::kPieces;
  r.pieces.clear();
  if (text->size != 0) r.pieces.push_back({{}, 0, text->size});
  r.file = std::move(text);
  return respond(ex);
}

Next Steps::answer_text(Exchange& ex, uint16_t status, std::string_view type,
                        std::string_view text) {
  Response& r = ex.response;
  r.status = status;
  r.content_length = static_cast<int64_t>(text.size());
  if (type.empty()) {
    set_content_type(ex);
  } else {
    r.content_type = type;
  }
  r.body = BodyKind::kPieces;
  r.pieces.clear();
  if (!text.empty()) r.pieces.push_back({text, 0, 0});
  return respond(ex);
}

}  // namespace bulkhead::front
