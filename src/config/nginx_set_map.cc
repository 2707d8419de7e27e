// map and types: blocks whose entries are data, not directives.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_parser.h"
#include "config/nginx_setters.h"
#include "config/nginx_wildcards.h"

namespace bulkhead::config {
namespace {

// Reports what the reader left for whoever knows the block: errors, bad includes, inner blocks.
bool check_entry(Builder& b, const Directive& d) {
  if (d.name == kErrorDirective) {
    b.fail(d, d.args.empty() ? "damaged" : d.args[0].text);
  } else if (d.is_block) {
    b.fail(d, "unexpected \"{\"");
  } else if (d.name == "include") {
    b.fail(d, "invalid number of arguments in \"include\" directive");
  }
  return !b.failed();
}

class MapReader {
 public:
  MapReader(Builder& b, MapDef* map) : b_(b), map_(*map) {}

  void entry(const Directive& d) {
    if (d.args.empty() && d.name == "hostnames") {
      map_.hostnames = true;
      return;
    }
    if (d.args.empty() && d.name == "volatile") {
      map_.is_volatile = true;
      return;
    }
    if (d.args.size() != 1) return b_.fail(d, "invalid number of the map parameters");
    Template value = b_.compile(d, d.args[0].text);
    if (b_.failed()) return;
    std::string key = d.name;
    if (key == "default") {
      if (map_.default_value) return b_.fail(d, "duplicate default map parameter");
      map_.default_value = std::move(value);
    } else if (key.starts_with('~')) {
      regex(d, key, std::move(value));
    } else {
      if (key.size() > 1 && key[0] == '\\') key.erase(0, 1);
      text(d, key, std::move(value));
    }
  }

 private:
  void regex(const Directive& d, const std::string& key, Template value) {
    bool is_insensitive = key.starts_with("~*");
    MapDef::Re re;
    re.regex = b_.compile_regex(d, std::string_view(key).substr(is_insensitive ? 2 : 1),
                                is_insensitive ? RegexCase::kInsensitive : RegexCase::kSensitive,
                                &re.named);
    re.value = std::move(value);
    map_.regexes.push_back(std::move(re));
  }

  void text(const Directive& d, const std::string& written, Template value) {
    std::string key = to_lower(written);
    if (!map_.hostnames) {
      if (!exact_.insert(key).second) return conflict(d, written);
      map_.exact.emplace_back(std::move(key), std::move(value));
      return;
    }
    WildcardKind kind = classify_wildcard(key);
    if (kind == WildcardKind::kInvalid) {
      return b_.fail(d, "invalid hostname or wildcard \"" + written + "\"");
    }
    if (!keys_.add(key, kind)) return conflict(d, written);
    switch (kind) {
      case WildcardKind::kLeading:
      case WildcardKind::kDot:
        map_.leading.emplace_back(key, std::move(value));
        break;
      case WildcardKind::kTrailing:
        map_.trailing.emplace_back(key, std::move(value));
        break;
      default:
        map_.exact.emplace_back(key, std::move(value));
    }
  }

  void conflict(const Directive& d, const std::string& key) {
    b_.fail(d, "conflicting parameter \"" + key + "\"");
  }

  Builder& b_;
  MapDef& map_;
  std::unordered_set<std::string> exact_;
  WildcardKeys keys_;
};

}  // namespace

void set_map(Builder& b, const Directive& d) {
  const std::string& name = d.args[1].text;
  MapDef map;
  map.source = b.compile(d, d.args[0].text);
  if (b.failed()) return;
  if (!name.starts_with('$') || name.size() < 2) {
    return b.fail(d, "invalid variable name \"" + name + "\"");
  }
  map.variable = to_lower(std::string_view(name).substr(1));
  const VariableRow* row = find_variable(map.variable);
  if (row != nullptr && !(row->writable && row->kind == RefKind::kEmpty)) {
    if (row->writable) {
      return b.fail(
          d, "\"map\" to $" + map.variable + " is not supported by this version of Bulkhead");
    }
    return b.fail(d, "the duplicate \"" + map.variable + "\" variable");
  }
  MapReader reader(b, &map);
  for (const Directive& entry : d.children) {
    if (!check_entry(b, entry)) return;
    reader.entry(entry);
    if (b.failed()) return;
  }
  // A second map of one variable replaces the first, as the later get_handler does in nginx.
  const uint32_t* index = b.names().find_map(map.variable);
  auto& maps = b.model().maps;
  if (index == nullptr) return;
  if (maps.size() <= *index) maps.resize(*index + 1);
  maps[*index] = std::move(map);
}

void set_types(Builder& b, const Directive& d) {
  LocSettings& loc = b.loc();
  loc.has_types = true;
  for (const Directive& entry : d.children) {
    if (!check_entry(b, entry)) return;
    for (const Word& word : entry.args) {
      std::string extension = to_lower(word.text);
      auto [at, is_new] = loc.type_of.emplace(extension, entry.name);
      if (is_new) {
        loc.types.emplace_back(std::move(extension), entry.name);
        continue;
      }
      b.warn(entry, "duplicate extension \"" + extension + "\", content type: \"" + entry.name +
                        "\", previous content type: \"" + at->second + "\"");
      at->second = entry.name;
      for (auto& [known, type] : loc.types) {
        if (known == extension) type = entry.name;
      }
    }
  }
}

}  // namespace bulkhead::config
