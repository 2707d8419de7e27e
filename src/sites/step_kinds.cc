// Every kind of step, for the journal.
//
// Runs in: bulkhead-site.
#include "sites/step_kinds.h"

#include "sites/steps.h"

namespace bulkhead::sites {

std::span<const StepKind> step_kinds() {
  static const std::vector<StepKind> kAll = [] {
    std::vector<StepKind> all;
    for (auto kinds :
         {file_kinds(), tree_kinds(), account_kinds(), server_kinds(), database_kinds()}) {
      all.insert(all.end(), kinds.begin(), kinds.end());
    }
    return all;
  }();
  return kAll;
}

}  // namespace bulkhead::sites
