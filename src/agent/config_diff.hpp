// What a reload changes: said to the operator, and acted on. Also keeps the spec objects of checks whose way of probing
// did not change, so that workers keep their instances. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"

namespace vital {

struct ConfigDiff {
  std::vector<std::string> added, removed, changed, kept;  // checks by name
  std::vector<std::string> services_added, services_removed, services_changed;
  std::vector<std::string> settings;  // what else is different: "listen.health", "workers.max"

  // Each option of a check that says something else now: "checks.db.timeout", "5s", "2s". Secrets are never shown.
  struct Option {
    std::string path, from, to;
  };
  std::vector<Option> options;

  bool is_empty() const;
  // "2 checks added (a, b), 1 changed (c), 10 kept"; at most a handful of names each.
  std::string summary() const;
};

ConfigDiff diff(const Config& before, const Config& after);

// `next`, each replaced by the object already in use where it says the same.
using Specs = std::vector<std::shared_ptr<const CheckSpec>>;
Specs keep_specs(const Specs& in_use, Specs next);

bool same_spec(const CheckSpec& a, const CheckSpec& b);

}  // namespace vital
