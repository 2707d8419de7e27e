#include "config/nginx_parser.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <unordered_map>

#include "config/lexer.h"

namespace bulkhead::config {
namespace {

constexpr size_t kFileBytesMax = size_t{64} << 20;
constexpr int kBlockDepthMax = 100;  // http > server > location > ... ; nginx has the stack's limit

std::string absolute(std::string_view base, std::string_view path) {
  if (path.starts_with('/')) return std::string(path);
  return std::string(base).append(path);
}

Result<std::string> read_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open() \"" + path + "\" failed");
  std::string text;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && status.st_size > 0) {
    text.reserve(std::min(static_cast<size_t>(status.st_size), kFileBytesMax));
  }
  char chunk[65536];
  ssize_t got = 0;
  while ((got = ::read(fd, chunk, sizeof chunk)) > 0) {
    text.append(chunk, static_cast<size_t>(got));
    if (text.size() > kFileBytesMax) break;
  }
  int read_errno = got < 0 ? errno : 0;
  ::close(fd);
  if (read_errno != 0) return fail_errno("pread() \"" + path + "\" failed", read_errno);
  if (text.size() > kFileBytesMax) return fail("\"" + path + "\" is larger than 64 MB");
  return text;
}

std::vector<std::string> glob_paths(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_NOMAGIC, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

// One reading of a configuration.  After the first error nothing more is read: the tree ends with
// a kErrorDirective in the place of the error.
class Parser {
 public:
  Parser(Ast* ast, const std::string& main_path, const FileSource& source)
      : ast_(*ast), source_(source) {
    ast_.files.push_back({main_path, {}});
    index_of_.emplace(main_path, 0);
  }

  void command_line(const std::string& text) {
    ast_.files.push_back({std::string(kCommandLine), {}});
    Lexer lexer(text);
    parse(lexer, {static_cast<uint32_t>(ast_.files.size() - 1), 0, true}, false, &ast_.top);
  }
  void main_file(const std::string& path) { file(path, {kNone, 0, false}, &ast_.top); }
  // Reads the files of `sites` into the end of http, once everything else is read.
  void late_sites() {
    const auto is_http = [](const Directive& d) { return d.name == "http" && d.is_block; };
    auto http = std::find_if(ast_.top.begin(), ast_.top.end(), is_http);
    ++block_depth_;  // they stand inside http: a `sites` of theirs is an error, not one more
    for (const auto& [item, place] : late_) {
      if (stopped_) return;
      if (http == ast_.top.end()) {
        return stop("\"sites\" needs an \"http\" block", item.file, item.line, &ast_.top);
      }
      // A file that is wrong is found where its directives would have stood.
      include(item.args[0].text, place, item, &http->children);
    }
    --block_depth_;
  }
  void use_own_directives() { own_directives_ = true; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // Hands the texts over, for the dump.
  void finish() {
    for (auto& [index, text] : texts_) ast_.files[index].text = *text;
  }

 private:
  struct Place {
    uint32_t file = 0;
    int depth = 0;  // of includes
    bool is_command_line = false;
  };

  void stop(std::string text, uint32_t file, uint32_t line, std::vector<Directive>* into) {
    stopped_ = true;
    Directive& item = into->emplace_back();
    item.name = kErrorDirective;
    item.args.push_back({std::move(text), false});
    item.file = file;
    item.line = line;
  }

  // Reads a file into `into`; `from` is where the include stands.
  void file(const std::string& path, Place from, std::vector<Directive>* into) {
    // A file included a thousand times is read and kept (and dumped) once.
    auto [known, is_new] = index_of_.emplace(path, static_cast<uint32_t>(ast_.files.size()));
    if (is_new) ast_.files.push_back({path, {}});
    uint32_t index = known->second;
    std::shared_ptr<const std::string>& kept = texts_[index];
    if (kept == nullptr) {
      auto text = source_.read(path);
      if (!text) {
        return stop(text.error().describe(), from.file, current_line_, into);
      }
      kept = std::make_shared<std::string>(std::move(*text));
    }
    std::shared_ptr<const std::string> text = kept;
    Lexer lexer(*text);
    parse(lexer, {index, from.depth, false}, false, into);
  }

  void parse(Lexer& lexer, Place place, bool in_block, std::vector<Directive>* into) {
    while (!stopped_) {
      auto statement = lexer.next();
      if (!statement) {
        std::string text = statement.error().text;
        if (place.is_command_line && text.starts_with("unexpected end of file")) {
          text = "unexpected end of parameter, expecting \";\"";
        }
        return stop(std::move(text), place.file, statement.error().line, into);
      }
      switch (statement->end) {
        case Statement::End::kEof:
          if (in_block) {
            stop("unexpected end of file, expecting \"}\"", place.file, statement->line, into);
          }
          return;
        case Statement::End::kClose:
          if (!in_block) stop("unexpected \"}\"", place.file, statement->line, into);
          return;
        default:
          add(lexer, place, std::move(*statement), into);
      }
    }
  }

  void add(Lexer& lexer, Place place, Statement statement, std::vector<Directive>* into) {
    Directive item;
    item.name = std::move(statement.words[0].text);
    item.args.assign(std::make_move_iterator(statement.words.begin() + 1),
                     std::make_move_iterator(statement.words.end()));
    item.file = place.file;
    item.line = statement.line;
    item.is_block = statement.end == Statement::End::kOpen;
    if (item.name == "include" && !item.is_block && item.args.size() == 1) {
      current_line_ = item.line;
      return include(item.args[0].text, place, item, into);
    }
    if (own_directives_ && block_depth_ == 0 && !item.is_block && item.args.size() == 1) {
      if (item.name == "relative_to") relative_to(item.args[0].text);
      if (item.name == "sites") late_.emplace_back(item, place);
    }
    if (item.is_block) {
      if (++block_depth_ > kBlockDepthMax) {
        return stop("too many nested blocks", place.file, item.line, into);
      }
      parse(lexer, place, true, &item.children);
      --block_depth_;
      item.end_line = lexer.line();
    }
    into->push_back(std::move(item));
  }

  void relative_to(const std::string& directory) {
    ast_.conf_prefix = absolute(ast_.conf_prefix, directory);
    if (!ast_.conf_prefix.ends_with('/')) ast_.conf_prefix += '/';
  }

  void include(const std::string& written, Place place, const Directive& item,
               std::vector<Directive>* into) {
    if (place.depth >= kIncludeDepthMax) {
      return stop("too many nested includes of \"" + written + "\"", place.file, item.line, into);
    }
    std::string path = absolute(ast_.conf_prefix, written);
    Place inner{place.file, place.depth + 1, false};
    if (path.find_first_of("*?[") == std::string::npos) return file(path, inner, into);
    for (const std::string& match : source_.glob(path)) {
      if (stopped_) return;
      current_line_ = item.line;
      file(match, inner, into);
    }
  }

  Ast& ast_;
  const FileSource& source_;
  std::unordered_map<std::string, uint32_t> index_of_;
  std::unordered_map<uint32_t, std::shared_ptr<const std::string>> texts_;
  uint32_t current_line_ = 0;  // of the include being followed; 0 for the main file
  int block_depth_ = 0;
  bool own_directives_ = false;
  std::vector<std::pair<Directive, Place>> late_;  // `sites GLOB;`
  bool stopped_ = false;
};

}  // namespace

FileSource FileSource::real() { return {read_file, glob_paths}; }

std::expected<Ast, ConfigError> parse_file(const std::string& path, const ParseOptions& options,
                                           const FileSource& source) {
  Ast ast;
  ast.prefix = options.prefix;
  if (!ast.prefix.empty() && !ast.prefix.ends_with('/')) ast.prefix += '/';
  std::string main_path = absolute(ast.prefix, path);
  ast.conf_prefix = main_path.substr(0, main_path.rfind('/') + 1);
  char hostname[256] = "";
  ::gethostname(hostname, sizeof hostname - 1);
  for (char c : std::string_view(hostname)) {
    ast.hostname += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  ast.default_port = ::geteuid() == 0 ? 80 : 8000;
  Parser parser(&ast, main_path, source);
  if (!options.global_directives.empty()) parser.command_line(options.global_directives);
  if (options.dialect == Dialect::kBulkhead) parser.use_own_directives();
  if (!parser.stopped()) parser.main_file(main_path);
  if (!parser.stopped()) parser.late_sites();
  if (!parser.stopped()) {
    parser.finish();
    return ast;
  }
  // Something else may be wrong before the place where reading stopped: report that first.
  BuildOptions build;
  build.dialect = options.dialect;
  build.resolve_names = false;
  auto model = build_model(ast, build, nullptr);
  if (!model) return std::unexpected(std::move(model).error());
  return std::unexpected(ConfigError{LogLevel::kEmerg, "reading stopped", main_path, 0});
}

std::string dump_files(const Ast& ast) {
  std::string out;
  for (const SourceFile& file : ast.files) {
    if (file.path == kCommandLine) continue;
    out.append("# configuration file ").append(file.path).append(":\n");
    out.append(file.text).append("\n");
  }
  return out;
}

}  // namespace bulkhead::config
