// Rows: what a location answers with, and to whom.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

constexpr Choice<bool> kSatisfy[] = {{"all", false}, {"any", true}};
constexpr Choice<LocConf::AutoindexFormat> kAutoindexFormats[] = {
    {"html", LocConf::AutoindexFormat::kHtml},
    {"json", LocConf::AutoindexFormat::kJson},
    {"jsonp", LocConf::AutoindexFormat::kJsonp},
    {"xml", LocConf::AutoindexFormat::kXml}};
constexpr Choice<bool> kBodyInFile[] = {{"off", false}, {"on", true}, {"clean", true}};

// clang-format off
constexpr auto kOverride = Merge::kOverride;
constexpr auto kReplaceList = Merge::kReplaceList;
constexpr auto kNow = ReloadEffect::kServing;
constexpr auto kOk = Support::kInForce;
constexpr DirectiveRow kRows[] = {
    // files
    {"root", kHSLI, kTake1, kOk, set_root, "html", kReplaceList, kNow, "Directory the path is put behind."},
    {"alias", kLocation, kTake1, kOk, set_root, "", kReplaceList, kNow, "Replaces the location's part of the path."},
    {"index", kHSL, k1More, kOk, set_index, "index.html", kReplaceList, kNow, "Files tried for a path that ends in a slash."},
    {"try_files", kServer | kLocation, k2More, kOk, set_try_files, "", kOverride, kNow, "The first file that exists is answered, else the last word."},
    {"internal", kLocation, kNone0, kOk, set_internal, "", kOverride, kNow, "Only internal redirects come here."},
    {"disable_symlinks", kHSL, kTake12, kOk, set_disable_symlinks, "off", kOverride, kNow, "Which symbolic links are refused."},
    {"autoindex", kHSLI, kFlag, kOk, set_flag<&LocConf::autoindex>, "off", kOverride, kNow, "Whether directories are listed."},
    {"autoindex_exact_size", kHSLI, kFlag, kOk, set_flag<&LocConf::autoindex_exact_size>, "on", kOverride, kNow, "Whether listings show sizes in bytes."},
    {"autoindex_format", kHSLI, kTake1, kOk, set_choice<&LocConf::autoindex_format, kAutoindexFormats>, "html", kOverride, kNow, "Form of listings."},
    {"autoindex_localtime", kHSLI, kFlag, kOk, set_flag<&LocConf::autoindex_localtime>, "off", kOverride, kNow, "Whether listings show local time."},
    {"open_file_cache", kHSL, kTake12, kOk, set_open_file_cache, "off", kOverride, kNow, "How many open files are remembered, and how long."},
    {"open_file_cache_valid", kHSL, kTake1, kOk, set_seconds<&LocConf::open_file_cache_valid>, "60s", kOverride, kNow, "When remembered files are looked at again."},
    {"open_file_cache_min_uses", kHSL, kTake1, kOk, set_number<&LocConf::open_file_cache_min_uses>, "1", kOverride, kNow, "Uses before a file is remembered."},
    {"open_file_cache_errors", kHSL, kFlag, kOk, set_flag<&LocConf::open_file_cache_errors>, "off", kOverride, kNow, "Whether missing files are remembered."},
    idle("open_file_cache_events", kHSL, kFlag, "files are checked at every use"),
    {"empty_gif", kLocation, kNone0, kOk, set_empty_gif, "", Merge::kNotMerged, kNow, "Answers one transparent pixel."},
    {"stub_status", kServer | kLocation, kNone0 | kTake1, kOk, set_stub_status, "", Merge::kNotMerged, kNow, "Answers numbers of connections and requests."},
    {"bulkhead_metrics", kLocation, kNone0, kOk, set_metrics, "", Merge::kNotMerged, kNow, "Answers numbers of every site for Prometheus; protect it with allow and deny."},
    // request bodies
    {"client_max_body_size", kHSL, kTake1, kOk, set_offset<&LocConf::client_max_body_size>, "1m", kOverride, kNow, "Largest request body; 0: any."},
    {"client_body_buffer_size", kHSL, kTake1, kOk, set_size<&LocConf::client_body_buffer_size>, "16k", kOverride, kNow, "Request body kept in memory; more goes to a file (for a pool's site from 96 KB on)."},
    {"client_body_timeout", kHSL, kTake1, kOk, set_millis<&LocConf::client_body_timeout>, "60s", kOverride, kNow, "Longest pause in a request body."},
    {"client_body_temp_path", kHSL, kTake1234, kOk, check_temp_path, "client_body_temp", kOverride, kNow, "Bodies are spooled to nameless files; the path is kept for nginx's sake."},
    idle("client_body_in_file_only", kHSL, kTake1, "bodies have no named files", set_choice<&Nowhere::flag, kBodyInFile>),
    idle("client_body_in_single_buffer", kHSL, kFlag, "bodies are in one piece"),
    // answers
    {"default_type", kHSL, kTake1, kOk, set_text<&LocConf::default_type>, "text/plain", kOverride, kNow, "Content type of unknown file names."},
    {"error_page", kHSLI, k2More, kOk, set_error_page, "", kReplaceList, kNow, "What is answered instead of an error."},
    {"recursive_error_pages", kHSL, kFlag, kOk, set_flag<&LocConf::recursive_error_pages>, "off", kOverride, kNow, "Whether error pages may have error pages."},
    {"add_header", kHSLI, kTake23, kOk, set_add_header, "", kReplaceList, kNow, "Adds a header to good answers; always: to every answer."},
    {"add_trailer", kHSLI, kTake23, kOk, set_add_trailer, "", kReplaceList, kNow, "Adds a field after the body."},
    idle("add_header_inherit", kHSLI, kTake1, "headers follow the usual rule"),
    idle("add_trailer_inherit", kHSLI, kTake1, "trailers follow the usual rule"),
    {"expires", kHSLI, kTake12, kOk, set_expires, "off", kOverride, kNow, "Sets Expires and Cache-Control."},
    {"charset", kHSLI, kTake1, kOk, set_charset, "off", kOverride, kNow, "Names the character set in Content-Type."},
    {"charset_types", kHSL, k1More, kOk, set_charset_types, "text/html text/xml text/plain ...", kReplaceList, kNow, "Content types that get a charset."},
    {"override_charset", kHSLI, kFlag, kOk, set_flag<&LocConf::override_charset>, "off", kOverride, kNow, "Whether a charset of the application is replaced."},
    // access
    {"allow", kHSL | kLimitExcept, kTake1, kOk, set_access, "", kReplaceList, kNow, "Lets an address in."},
    {"deny", kHSL | kLimitExcept, kTake1, kOk, set_access, "", kReplaceList, kNow, "Keeps an address out."},
    {"satisfy", kHSL, kTake1, kOk, set_choice<&LocConf::satisfy_any, kSatisfy>, "all", kOverride, kNow, "Whether all access rules or any one must agree."},
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> location_rows() { return kRows; }

}  // namespace bulkhead::config
