// Which script a request means, and the CGI variables that follow from it, by php-fpm's rules:
// cgi.fix_pathinfo walks back through a path until it meets a file and moves the rest to PATH_INFO.
//
// Runs in: worker.  Input: hostile parameters.
// Ref: php.net cgi.fix-pathinfo, cgi.discard-path; RFC 3875 4.1.
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

using Text = const char*;

Text get(std::string_view name) { return g_engine.params.find(name); }
Text put(std::string_view name, Text value) { return g_engine.params.put(name, value); }
bool same(Text a, Text b) { return a != nullptr && b != nullptr && strcmp(a, b) == 0; }

// The variables as they came, and the script as it turns out.
struct Paths {
  Text filename = nullptr;    // SCRIPT_FILENAME
  Text translated = nullptr;  // PATH_TRANSLATED
  Text info = nullptr;        // PATH_INFO
  Text name = nullptr;        // SCRIPT_NAME
  Text orig_info = nullptr, orig_name = nullptr;
  Text redirect_url = nullptr, root = nullptr;
  Text script = nullptr;
  bool from_proxy = false;  // Apache's mod_proxy_fcgi spelling
};

// Buffers that outlive a longjmp.
std::string g_path, g_value;

// "proxy:fcgi://host:9000/dir/x.php?a=b" means /dir/x.php.
void undo_proxy_spelling(Paths& p) {
  for (std::string_view prefix : {"proxy:fcgi://", "proxy:balancer://"}) {
    if (p.filename == nullptr || strncasecmp(p.filename, prefix.data(), prefix.size()) != 0)
      continue;
    Text path = strchr(p.filename + prefix.size(), '/');
    g_value = path != nullptr ? path : p.filename;
    g_value.resize(std::min(g_value.find('?'), g_value.size()));
    p.from_proxy = path != nullptr;
    const bool was_script = p.script == p.filename;
    p.filename = put("SCRIPT_FILENAME", g_value.c_str());
    if (was_script) p.script = p.filename;
  }
}

bool is_file(Text path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

// Whether the path leads to something; PHP's own cache of real paths answers for most requests.
bool exists(Text path) {
  char* real = real_path_of(path, nullptr);
  if (real == nullptr) return false;
  efree(real);
  return true;
}

// Cuts g_path at its last separators until a file is left.
bool cut_to_file() {
  while (true) {
    size_t at = g_path.rfind('/');
    if (at == std::string::npos) at = g_path.rfind('\\');
    if (at == std::string::npos) return false;
    g_path.resize(at);
    if (is_file(g_path.c_str())) return true;
  }
}

// PATH_TRANSLATED = DOCUMENT_ROOT + PATH_INFO (or the script's path without SCRIPT_NAME).
void set_path_translated(Paths& p) {
  if (p.root != nullptr) {
    g_value = p.root;
    if (g_value.ends_with('/')) g_value.pop_back();
  } else if (p.name != nullptr && g_path.find(p.name) != std::string::npos) {
    g_value.assign(g_path, 0, g_path.size() - strlen(p.name));
  } else {
    return;
  }
  if (p.info != nullptr) g_value += p.info;
  if (p.translated != nullptr) put("ORIG_PATH_TRANSLATED", p.translated);
  p.translated = put("PATH_TRANSLATED", g_value.c_str());
}

// PATH_INFO gets what was cut off the script; SCRIPT_NAME loses it.  `cut` is how much that was.
void move_path_info(Paths& p, size_t cut, Text script) {
  Text info = nullptr;
  if (p.from_proxy) {
    info = script + g_path.size();
    if (cut == 0 || same(p.orig_info, info)) return;
  } else {
    const size_t have = p.info != nullptr ? strlen(p.info) : 0;
    info = p.info != nullptr && have > cut ? p.info + have - cut : nullptr;
    if (info == nullptr || info == p.orig_info) return;
  }
  if (p.orig_info != nullptr) {
    put("ORIG_PATH_INFO", p.orig_info);
    g_value.assign(p.info, p.from_proxy ? strlen(p.info) : static_cast<size_t>(info - p.info));
    if (!same(p.orig_name, g_value.c_str())) {
      if (p.orig_name != nullptr) put("ORIG_SCRIPT_NAME", p.orig_name);
      SG(request_info).request_uri = const_cast<char*>(put("SCRIPT_NAME", g_value.c_str()));
    } else {
      SG(request_info).request_uri = const_cast<char*>(p.orig_name);
    }
  } else if (p.from_proxy && p.name != nullptr) {
    const size_t have = strlen(p.name);
    if (have > cut && strcmp(p.name + have - cut, info) == 0) {
      put("ORIG_SCRIPT_NAME", p.orig_name);
      g_value.assign(p.name, have - cut);
      SG(request_info).request_uri = const_cast<char*>(put("SCRIPT_NAME", g_value.c_str()));
    }
  }
  p.info = put("PATH_INFO", info);
}

// The path as given leads nowhere: look for a script on the way to it.
void find_script_on_the_way(Paths& p) {
  const size_t whole = strlen(p.script);
  const Text script = p.script;
  g_path = script;
  if (cut_to_file()) {
    move_path_info(p, whole - g_path.size(), script);
    if (!same(p.filename, g_path.c_str())) {
      if (p.filename != nullptr) put("ORIG_SCRIPT_FILENAME", p.filename);
      p.script = put("SCRIPT_FILENAME", g_path.c_str());
    }
    set_path_translated(p);
  } else {
    if (p.filename != nullptr) put("ORIG_SCRIPT_FILENAME", p.filename);
    p.script = put("SCRIPT_FILENAME", nullptr);
    SG(sapi_headers).http_response_code = 404;
  }
  if (SG(request_info).request_uri != nullptr) return;
  if (!same(p.orig_name, p.name)) {
    if (p.orig_name != nullptr) put("ORIG_SCRIPT_NAME", p.orig_name);
    SG(request_info).request_uri = const_cast<char*>(put("SCRIPT_NAME", p.name));
  } else {
    SG(request_info).request_uri = const_cast<char*>(p.orig_name);
  }
}

// The path leads to something: only remember what was replaced.
void keep_originals(Paths& p) {
  if (!same(p.filename, p.script)) {
    if (p.filename != nullptr) put("ORIG_SCRIPT_FILENAME", p.filename);
    p.script = put("SCRIPT_FILENAME", p.script);
  }
  if (!p.from_proxy && p.redirect_url != nullptr) {
    if (p.orig_info != nullptr) {
      put("ORIG_PATH_INFO", p.orig_info);
      put("PATH_INFO", nullptr);
    }
    if (p.translated != nullptr) {
      put("ORIG_PATH_TRANSLATED", p.translated);
      put("PATH_TRANSLATED", nullptr);
    }
  }
  if (p.name != p.orig_name) {
    if (p.orig_name != nullptr) put("ORIG_SCRIPT_NAME", p.orig_name);
    p.name = put("SCRIPT_NAME", p.name);
  }
  SG(request_info).request_uri = const_cast<char*>(p.name);
}

void fix_path_info(Paths& p) {
  p.redirect_url = get("REDIRECT_URL");
  p.root = get("DOCUMENT_ROOT");
  p.orig_info = p.info;
  p.orig_name = p.name;
  if (p.root == nullptr && PG(doc_root) != nullptr) p.root = put("DOCUMENT_ROOT", PG(doc_root));
  // Apache with an Action: SCRIPT_FILENAME is the handler, PATH_TRANSLATED the script.
  if (!p.from_proxy && p.translated != nullptr && p.redirect_url != nullptr &&
      strcmp(p.translated, p.script) != 0) {
    p.script = p.translated;
    p.name = p.redirect_url;
  }
  const size_t size = strlen(p.script);
  if (size > 0 && (p.script[size - 1] == '/' || !exists(p.script))) {
    find_script_on_the_way(p);
  } else {
    keep_originals(p);
  }
}

// No ".." component may reach the file system.
bool is_plain(Text path) {
  if (path == nullptr) return false;
  for (Text at = strstr(path, ".."); at != nullptr; at = strstr(at + 1, "..")) {
    if ((at == path || at[-1] == '/') && (at[2] == '\0' || at[2] == '/')) return false;
  }
  return true;
}

void set_script(Paths& p) {
  if (g_cgi.fix_pathinfo) {
    fix_path_info(p);
  } else {
    SG(request_info).request_uri = const_cast<char*>(p.info != nullptr ? p.info : p.name);
    if (!g_cgi.discard_path && p.translated != nullptr) p.script = p.translated;
  }
  if (is_plain(p.script)) SG(request_info).path_translated = estrdup(p.script);
  Text type = get("CONTENT_TYPE");
  Text length = get("CONTENT_LENGTH");
  SG(request_info).query_string = const_cast<char*>(get("QUERY_STRING"));
  SG(request_info).content_type = type != nullptr ? type : "";
  SG(request_info).content_length = length != nullptr ? atol(length) : 0;
  php_handle_auth_data(get("HTTP_AUTHORIZATION"));
}

// IIS repeats SCRIPT_NAME in PATH_INFO.
void undo_iis_spelling(Paths& p) {
  Text server = get("SERVER_SOFTWARE");
  if (server == nullptr || p.name == nullptr || p.info == nullptr ||
      strncmp(server, "Microsoft-IIS", 13) != 0 || strncmp(p.info, p.name, strlen(p.name)) != 0) {
    return;
  }
  Text rest = put("ORIG_PATH_INFO", p.info) + strlen(p.name);
  p.info = put("PATH_INFO", *rest != '\0' ? rest : nullptr);
}

// One entry of PHP_VALUE or PHP_ADMIN_VALUE; in force for this request only.
void on_ini_entry(zval* key, zval* value, zval*, int type, void* mode) noexcept {
  char text[1024];
  if (key == nullptr) return;
  if (type != ZEND_INI_PARSER_ENTRY) {
    log_line(LogLevel::kError,
             "Passing INI directive through FastCGI: only classic entries are allowed");
    return;
  }
  if (Z_STRLEN_P(key) == 0) {
    log_line(LogLevel::kError, "Passing INI directive through FastCGI: empty key");
    return;
  }
  if (value == nullptr) {
    snprintf(text, sizeof text, "Passing INI directive through FastCGI: empty value for key '%s'",
             Z_STRVAL_P(key));
    log_line(LogLevel::kError, text);
    return;
  }
  const int modify = *static_cast<int*>(mode);
  if (zend_hash_find(EG(ini_directives), Z_STR_P(key)) == nullptr) {
    snprintf(text, sizeof text, "Passing INI directive through FastCGI: unable to set '%s'",
             Z_STRVAL_P(key));
    log_line(LogLevel::kError, text);
    return;
  }
  zend_alter_ini_entry_ex(Z_STR_P(key), Z_STR_P(value), modify, ZEND_INI_STAGE_ACTIVATE, 1);
  if (zend_string_equals_literal(Z_STR_P(key), "disable_functions") && Z_STRLEN_P(value) != 0) {
    zend_disable_functions(Z_STRVAL_P(value));
  }
}

void apply_request_ini(std::string_view param, int mode) {
  Text ini = get(param);
  if (ini == nullptr) return;
  char* text = nullptr;
  spprintf(&text, 0, "%s\n", ini);
  zend_parse_ini_string(text, 1, ZEND_INI_SCANNER_NORMAL, on_ini_entry, &mode);
  efree(text);
}

}  // namespace

void init_request_info() noexcept {
  Paths p;
  p.filename = get("SCRIPT_FILENAME");
  p.translated = get("PATH_TRANSLATED");
  p.script = p.filename != nullptr ? p.filename : p.translated;
  p.info = get("PATH_INFO");
  p.name = get("SCRIPT_NAME");
  sapi_request_info& info = SG(request_info);
  info.path_translated = nullptr;
  info.request_method = get("REQUEST_METHOD");
  info.proto_num = 1000;
  info.query_string = nullptr;
  info.request_uri = nullptr;
  info.content_type = nullptr;
  info.content_length = 0;
  SG(sapi_headers).http_response_code = 200;
  if (p.script != nullptr) {
    undo_iis_spelling(p);
    undo_proxy_spelling(p);
    set_script(p);
  }
  apply_request_ini("PHP_VALUE", ZEND_INI_USER);
  apply_request_ini("PHP_ADMIN_VALUE", ZEND_INI_SYSTEM);
}

}  // namespace bulkhead::php
