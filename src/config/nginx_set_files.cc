// Which file answers: root, alias, index, try_files, internal, links, and small built-in contents.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

bool uses(const Template& text, Var var) {
  for (const VarRef& part : text.parts) {
    if (part.kind == RefKind::kBuiltin && part.index == static_cast<uint32_t>(var)) return true;
  }
  return false;
}

bool check_duplicate_root(Builder& b, const Directive& d, bool is_alias) {
  LocSettings& loc = b.loc();
  bool has_same = is_alias ? loc.has_alias : loc.has_root;
  bool has_other = is_alias ? loc.has_root : loc.has_alias;
  if (has_same) {
    b.fail_value(d, "is duplicate");
  } else if (has_other) {
    b.fail_value(d, std::string("is duplicate, \"") + (is_alias ? "root" : "alias") +
                        "\" directive was specified earlier");
  } else if (is_alias && b.scope().location->kind == Location::Kind::kNamed) {
    b.fail(d, "the \"alias\" directive cannot be used inside the named location");
  }
  (is_alias ? loc.has_alias : loc.has_root) = true;
  return !b.failed();
}

}  // namespace

void set_root(Builder& b, const Directive& d) {
  bool is_alias = d.name == "alias";
  if (!check_duplicate_root(b, d, is_alias)) return;
  std::string text = d.args[0].text;
  Template root = b.compile(d, text);
  if (b.failed()) return;
  for (Var var : {Var::kDocumentRoot, Var::kRealpathRoot}) {
    if (!uses(root, var)) continue;
    return b.fail(d, "the $" + std::string(variable_name(var)) +
                         " variable cannot be used in the \"" + d.name + "\" directive");
  }
  // Below the prefix when relative; a root keeps no slash at its end.
  if (!is_alias && text.ends_with('/')) text.pop_back();
  if (!text.starts_with('$') && !text.starts_with('/') &&
      !(text.empty() && !is_alias && d.args[0].text == "/")) {
    text = b.full_path(text);
  }
  root = b.compile(d, text);
  b.loc().apply.push_back([root, is_alias, origin = static_cast<const void*>(&d)](LocConf& conf) {
    conf.root_origin = origin;
    conf.root = root;
    conf.is_alias = is_alias;
    conf.root_from_server = false;
  });
}

void set_index(Builder& b, const Directive& d) {
  for (size_t i = 0; i < d.args.size(); ++i) {
    const std::string& name = d.args[i].text;
    if (name.empty()) return b.fail(d, "index \"\" in \"index\" directive is invalid");
    if (name[0] == '/' && i + 1 != d.args.size()) {
      b.warn(d, "only the last index in \"index\" directive should be absolute");
    }
    b.loc().index.push_back(b.compile(d, name));
    if (b.failed()) return;
  }
}

void set_try_files(Builder& b, const Directive& d) {
  auto out = std::make_shared<TryFiles>();
  for (size_t i = 0; i + 1 < d.args.size(); ++i) {
    std::string path = d.args[i].text;
    TryFiles::Item item;
    if (path.ends_with('/')) {
      item.wants_dir = true;
      path.pop_back();
    }
    item.path = b.compile(d, path);
    if (b.failed()) return;
    out->items.push_back(std::move(item));
  }
  const std::string& last = d.args.back().text;
  if (last.starts_with('=')) {
    auto code = parse_number(std::string_view(last).substr(1));
    if (!code || *code > 999) return b.fail(d, "invalid code \"" + last + "\"");
    out->final_status = static_cast<uint16_t>(*code);
  } else {
    out->final_uri = b.compile(d, last);
  }
  b.loc().try_files = std::move(out);
}

void set_internal(Builder& b, const Directive&) {
  b.loc().apply.push_back([](LocConf& conf) { conf.internal = true; });
}

void set_disable_symlinks(Builder& b, const Directive& d) {
  using Mode = LocConf::DisableSymlinks;
  const std::string& word = d.args[0].text;
  Mode mode = Mode::kOff;
  if (word == "on") {
    mode = Mode::kOn;
  } else if (word == "if_not_owner") {
    mode = Mode::kIfNotOwner;
  } else if (word != "off") {
    return b.fail(d, "invalid parameter \"" + word + "\"");
  }
  Template from;
  if (d.args.size() == 2) {
    const std::string& second = d.args[1].text;
    if (!second.starts_with("from=")) return b.fail(d, "invalid parameter \"" + second + "\"");
    if (mode == Mode::kOff) return b.fail(d, "\"from=\" cannot be used with \"off\" parameter");
    from = b.compile(d, std::string_view(second).substr(5));
  }
  b.loc().apply.push_back([mode, from](LocConf& conf) {
    conf.disable_symlinks = mode;
    conf.disable_symlinks_from = from;
  });
}

void set_open_file_cache(Builder& b, const Directive& d) {
  uint64_t max = 0;
  Seconds inactive{60};
  bool is_off = false;
  for (const Word& word : d.args) {
    std::string_view text = word.text;
    bool is_good = false;
    if (text.starts_with("max=")) {
      auto value = parse_number(text.substr(4));
      is_good = value && *value > 0;
      if (is_good) max = std::min<uint64_t>(*value, UINT32_MAX - 1);
    } else if (text.starts_with("inactive=")) {
      auto value = parse_seconds(text.substr(9));
      is_good = value.has_value();
      if (is_good) inactive = *value;
    } else if (text == "off") {
      is_good = is_off = true;
    }
    if (!is_good) {
      return b.fail(d, "invalid \"open_file_cache\" parameter \"" + std::string(text) + "\"");
    }
  }
  if (!is_off && max == 0) {
    return b.fail(d, "\"open_file_cache\" must have the \"max\" parameter");
  }
  if (is_off) max = 0;
  b.loc().apply.push_back([max, inactive](LocConf& conf) {
    conf.open_file_cache_max = static_cast<uint32_t>(max);
    conf.open_file_cache_inactive = inactive;
  });
}

void set_stub_status(Builder& b, const Directive&) {
  b.loc().apply.push_back([](LocConf& conf) { conf.stub_status = true; });
}

void set_metrics(Builder& b, const Directive&) {
  b.loc().apply.push_back([](LocConf& conf) { conf.metrics = true; });
}

void set_empty_gif(Builder& b, const Directive&) {
  b.loc().apply.push_back([](LocConf& conf) { conf.empty_gif = true; });
}

}  // namespace bulkhead::config
