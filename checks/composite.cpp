// composite: a check that is not probed: its rules are judged by the agent, from what other checks found. This file
// declares its options, so that they are validated, listed and documented as any module's are; the rules are parsed in
// src/config and judged in src/core, and the agent never asks a worker for a composite.
#include <vitald/check.hpp>

namespace {

using namespace vital::check;

constexpr OptionRow options[] = {
    {"rule", Type::string, nullptr, "a condition over other checks' measures and facts that must hold",
     "db.lag < 10s and db.role == standby", VITAL_OPTION_REQUIRED},
    {"warn_rule", Type::string, nullptr, "one that should hold, or it is a warning", "db.lag < 2s"},
};

class Composite final : public Blocking {
 public:
  explicit Composite(const Options&) {}
  Result probe(const Attempt&) override {
    return unknown(Cause::config,
                   "a composite is judged by a running agent, from what its checks found: vitalctl check NAME");
  }
};

}  // namespace

VITAL_BLOCKING_MODULE(Composite, "composite", "1.0", "a rule over what other checks found", options)
