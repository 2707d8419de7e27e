// What one site may see and do, as a value: made by master from the configuration, obeyed by the
// process that becomes the site.
//
// Runs in: master (makes, from trusted configuration only), zygote's fresh children and master's
// children before exec (obey).  It travels in sealed memory; no less privileged process can name a
// path in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::sandbox {

// `sandbox =` of a pool.  kOn: a layer that this kernel lacks is noted and the others hold;
// kStrict: it refuses the site.
enum class Mode : uint8_t { kOff, kOn, kStrict };

// One wall.  `sandbox.off[]` names them as layer_name() spells them.
enum class Layer : uint8_t { kView, kPid, kIpc, kLandlock, kSeccomp, kCgroup };
constexpr int kLayers = 6;
using LayerSet = uint8_t;
[[nodiscard]] constexpr LayerSet set_of(Layer layer) {
  return static_cast<LayerSet>(1u << static_cast<unsigned>(layer));
}
constexpr LayerSet kAllLayers = (1u << kLayers) - 1;
[[nodiscard]] std::string_view layer_name(Layer layer);
// "view, pid"; "" for none.
[[nodiscard]] std::string layer_names(LayerSet layers);
// The layers of a list of names; names that are none are passed over (the configuration was
// checked).
[[nodiscard]] LayerSet layers_of(const std::vector<std::string>& names);

// A part of the file system that belongs to the site's view.
struct Tree {
  std::string path;  // absolute, as the configuration says it; links on it are followed by the rule
  enum class Access : uint8_t { kRead, kWrite } access = Access::kWrite;
  // kMust: named by the administrator, the site does not start without it.  kMay: what is missing
  // is left out.
  enum class Need : uint8_t { kMay, kMust } need = Need::kMay;
  std::string origin;  // "root", "sandbox.read": for messages
  // Of a web root: whether it was there when the configuration was read.  One that has been made
  // since changes the policy, and so a reload gives the site a new pool, which sees it.
  bool there = true;
  // A root that nobody wrote down: the pages nginx brings are no secret of the site.
  bool by_default = false;
  [[nodiscard]] bool is_web_root() const { return origin == "root" || origin == "alias"; }
};

struct SitePolicy {
  Mode mode = Mode::kOff;
  LayerSet layers = kAllLayers;  // those wanted
  // The site's directories are not known (pools alone, without their web server): the machine's
  // tree stays visible, without what `masks` and the view itself take away.
  bool wide = false;
  std::vector<Tree> trees;
  // Absolute paths below some tree that belong to other sites.
  std::vector<std::string> masks;
  // STATE, and the site's own part of it, made by state_dir.h; "": none.
  std::string state_root, state;
  // Options of the site's sendmail (config/pool_mail.h).
  std::vector<std::string> mail;

  [[nodiscard]] bool wants(Layer layer) const {
    return mode != Mode::kOff && (layers & set_of(layer)) != 0;
  }
};

[[nodiscard]] std::string serialise(const SitePolicy& policy);
// Errors: damaged bytes.  No bytes at all are the policy `off`.
[[nodiscard]] Result<SitePolicy> deserialise_policy(std::string_view bytes);

// `path` is `directory` or lies below it (by text; both without a trailing slash).
[[nodiscard]] bool is_within(std::string_view path, std::string_view directory);

}  // namespace bulkhead::sandbox
