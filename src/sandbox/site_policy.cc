#include "sandbox/site_policy.h"

#include <array>

#include "config/byte_form.h"

namespace bulkhead::sandbox {
namespace {

constexpr std::array<std::string_view, kLayers> kNames = {"view",     "pid",     "ipc",
                                                          "landlock", "seccomp", "cgroup"};

}  // namespace

template <class Form>
void fields(Tree& tree, Form& form) {
  form(tree.path);
  form(tree.access);
  form(tree.need);
  form(tree.origin);
  form(tree.there);
}

template <class Form>
void fields(SitePolicy& p, Form& form) {
  form(p.mode);
  form(p.layers);
  form(p.wide);
  form(p.trees);
  form(p.masks);
  form(p.state_root);
  form(p.state);
  form(p.mail);
}

std::string_view layer_name(Layer layer) { return kNames[static_cast<size_t>(layer)]; }

std::string layer_names(LayerSet layers) {
  std::string out;
  for (int i = 0; i < kLayers; ++i) {
    if ((layers >> i & 1) == 0) continue;
    (out += out.empty() ? "" : ", ") += kNames[static_cast<size_t>(i)];
  }
  return out;
}

LayerSet layers_of(const std::vector<std::string>& names) {
  LayerSet set = 0;
  for (const std::string& name : names) {
    for (int i = 0; i < kLayers; ++i) {
      if (kNames[static_cast<size_t>(i)] == name) set |= set_of(static_cast<Layer>(i));
    }
  }
  return set;
}

std::string serialise(const SitePolicy& policy) {
  config::ByteWriter out;
  fields(const_cast<SitePolicy&>(policy), out);  // a writer changes nothing
  return out.take();
}

Result<SitePolicy> deserialise_policy(std::string_view bytes) {
  SitePolicy policy;
  if (bytes.empty()) return policy;
  config::ByteReader in(bytes);
  fields(policy, in);
  if (!in.finished() || policy.mode > Mode::kStrict) {
    return fail("the byte form of a site's policy is damaged");
  }
  return policy;
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.starts_with('/');
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace bulkhead::sandbox
