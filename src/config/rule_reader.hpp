// RuleReader: one service's rule from tree to Rule. Names are resolved at once for checks; services are numbered as
// written, and renumbered when their order is known. Private to config/. [control]
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/draft.hpp"

namespace vital::config {

// What the words of a rule may mean.
struct RuleNames {
  const Plan* plan = nullptr;                     // with every enabled check
  std::vector<std::string> checks;                // disabled ones too
  std::map<std::string, std::uint32_t> services;  // name -> number as written
  std::set<std::string> same_as_check;            // services that are one check of the same name, as in db: [db]
};

class RuleReader {
 public:
  RuleReader(const RuleNames& names, std::string service, Problems& problems)
      : names_(names), service_(std::move(service)), problems_(problems) {}

  // The whole rule of a service: a list, or a map that holds the rule beside the service's other keys. Empty if it is
  // no good, which has been said.
  std::optional<Rule> read(const Node& n, const std::string& path);

  // The services it names, in the order written.
  const std::vector<Name>& services() const { return services_; }

 private:
  struct Parsed {
    enum class How : std::uint8_t { good, disabled, bad };  // disabled: names only checks that are not in the plan
    How how = How::bad;
    Rule rule;
  };
  static Parsed good(Rule rule) { return {Parsed::How::good, std::move(rule)}; }
  Parsed bad(Mark mark, const std::string& path, std::string text);

  Parsed member(const std::string& name, Mark mark, const std::string& path, std::string_view wanted);
  Parsed rule(const Node& n, const std::string& path, int depth);
  Parsed from_map(const Node& n, const std::string& path, int depth);
  Parsed group(Rule::Kind kind, const Node& list, const std::string& path, int depth);
  Parsed quorum(const Node& n, const std::string& path, int depth);
  Parsed weighted(const Node& n, const std::string& path);
  std::optional<std::int64_t> count(const Entry& e, const std::string& path);

  const RuleNames& names_;
  std::string service_;
  Problems& problems_;
  std::vector<Name> services_;
};

}  // namespace vital::config
