// ActionPlan: one entry of `failover.actions`: a kind, its options, and whether it may really be done. Immutable
// values; any thread. Holds secrets: never print those.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "modules/option.hpp"

namespace vital {

struct ActionPlan {
  std::string name;
  std::shared_ptr<const CheckSpec> spec;  // module and values; its `check` is "failover.actions.NAME"
  bool is_dry_run = true;                 // `enabled: true` in the config makes it real
};
using ActionPlans = std::map<std::string, ActionPlan, std::less<>>;

// The spec with what an idle step would say, for a module that is to look at its options. Pure.
CheckSpec with_idle_step(const CheckSpec& spec);

// "promote-{to}" for the member two is "promote-two". `words` are what may stand in braces; anything else stays as it
// is. Pure.
std::string filled_in(std::string_view text, const std::map<std::string, std::string>& words);

}  // namespace vital
