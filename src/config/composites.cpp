// The rules of composite checks: parsed, with the checks they name found among those of the config.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "core/composite.hpp"

namespace vital::config {
namespace {

const std::string* value_of(const CheckDraft& draft, std::string_view option) {
  if (draft.spec == nullptr || draft.spec->module.type != "composite") return nullptr;
  for (const auto& [name, items] : draft.spec->values) {
    if (name == option && !items.empty()) return &items.front();
  }
  return nullptr;
}

class Composites {
 public:
  Composites(const std::vector<CheckDraft>& drafts, const Plan& plan, Problems& problems)
      : drafts_(drafts), plan_(plan), problems_(problems), edges_(drafts.size()) {
    for (std::uint32_t i = 0; i < drafts.size(); ++i) {
      index_.emplace(drafts[i].plan.name, i);
      names_.push_back(drafts[i].plan.name);
    }
  }

  // Empty if there is none, or it is no good.
  std::optional<CompositeRule> read(std::uint32_t draft, const char* option) {
    const std::string* text = value_of(drafts_[draft], option);
    if (text == nullptr) return {};
    auto parsed = Expression::parse(*text);
    if (const auto* error = std::get_if<Expression::Error>(&parsed)) {
      complain(draft, option, fmt::format("at character {}: {}", error->at + 1, error->text));
      return {};
    }
    CompositeRule rule{*text, std::get<Expression>(std::move(parsed)), {}};
    for (const Expression::Reference& r : rule.condition.references()) {
      const auto found = index_.find(r.check);
      if (found == index_.end()) {
        complain(draft, option,
                 fmt::format("there is no check '{}'{}", one_line(r.check, 64), suggestion(r.check, names_)));
      } else if (const auto id = plan_.find_check(r.check); !id) {
        if (drafts_[draft].is_enabled)
          complain(draft, option, fmt::format("the check '{}' is disabled; enable it", r.check));
      } else {
        rule.checks.push_back(*id);
        edges_[draft].push_back(found->second);
      }
    }
    if (rule.checks.size() != rule.condition.references().size()) return {};
    if (rule.checks.empty())
      complain(draft, option, "looks at no check, so it can never change; write CHECK.NAME, as in db.lag < 10s");
    return rule;
  }

  void refuse_circles() {
    for (const auto& cycle : find_cycles(edges_)) {
      std::vector<std::string> round;
      for (const std::uint32_t i : cycle) round.push_back(names_[i]);
      round.push_back(round.front());
      complain(cycle.back(), "rule",
               cycle.size() == 1 ? std::string("a check cannot look at itself; remove it")
                                 : fmt::format("the composites look at each other in a circle: {}; remove one of these",
                                               join(round, " -> ")));
    }
  }

 private:
  void complain(std::uint32_t draft, const std::string& option, std::string text) {
    problems_.add(place_of_option(*drafts_[draft].entry, option), drafts_[draft].path() + "." + option,
                  std::move(text));
  }

  const std::vector<CheckDraft>& drafts_;
  const Plan& plan_;
  Problems& problems_;
  std::map<std::string_view, std::uint32_t> index_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::uint32_t>> edges_;
};

}  // namespace

void resolve_composites(const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems) {
  Composites composites(drafts, plan, problems);
  for (std::uint32_t i = 0; i < drafts.size(); ++i) {
    auto rule = composites.read(i, "rule");
    auto warn_rule = composites.read(i, "warn_rule");
    const auto self = plan.find_check(drafts[i].plan.name);
    if (!rule || !self) continue;
    plan.checks[self->value].composite =
        std::make_shared<const CompositePlan>(CompositePlan{std::move(*rule), std::move(warn_rule)});
  }
  composites.refuse_circles();
}

}  // namespace vital::config
