// See rule_reader.hpp.
#include "config/rule_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.hpp"

namespace vital::config {
namespace {

constexpr int most_depth = 16;
constexpr std::string_view disabled_only =
    "holds only checks that are disabled, so it could never fail; name one that is not";

const std::vector<std::string> words{"all", "any", "quorum", "of", "weighted", "pass", "warn", "check", "service"};

}  // namespace

RuleReader::Parsed RuleReader::bad(Mark mark, const std::string& path, std::string text) {
  problems_.add(mark, path, std::move(text));
  return {};
}

std::optional<Rule> RuleReader::read(const Node& n, const std::string& path) {
  Parsed parsed = n.is_map() ? from_map(n, path, 0) : rule(n, path, 0);
  if (parsed.how == Parsed::How::disabled) parsed = bad(n.mark, path, std::string(disabled_only));
  if (parsed.how == Parsed::How::bad) return {};
  return std::move(parsed.rule);
}

RuleReader::Parsed RuleReader::member(const std::string& name, Mark mark, const std::string& path,
                                      std::string_view wanted) {
  const auto service = names_.services.find(name);
  const bool may_be_service = service != names_.services.end() && wanted != "check";
  const bool may_be_check =
      wanted != "service" && std::find(names_.checks.begin(), names_.checks.end(), name) != names_.checks.end();
  // A service may be called like a check it holds: inside it the name is the check, and where it holds nothing else it
  // is the same either way.
  if (may_be_check && may_be_service && name != service_ && names_.same_as_check.count(name) == 0) {
    return bad(mark, path,
               fmt::format("'{}' is a check and a service; write {{check: {}}} or {{service: {}}}", name, name, name));
  }
  if (may_be_check) {
    const auto id = names_.plan->find_check(name);
    if (!id) return {Parsed::How::disabled, {}};
    return good({.kind = Rule::Kind::check, .target = id->value});
  }
  if (may_be_service) {
    services_.push_back({name, mark});
    return good({.kind = Rule::Kind::service, .target = service->second});
  }
  std::vector<std::string> known;
  if (wanted != "service") known = names_.checks;
  if (wanted != "check") {
    for (const auto& [known_name, number] : names_.services) {
      if (known_name != service_) known.push_back(known_name);
    }
  }
  return bad(mark, path,
             fmt::format("there is no {} '{}'{}", wanted.empty() ? "check or service" : wanted, one_line(name, 64),
                         suggestion(name, known)));
}

// A member as written: a name, a list (all), or a map.
RuleReader::Parsed RuleReader::rule(const Node& n, const std::string& path, int depth) {
  if (n.is_bad) return {};
  if (depth > most_depth) return bad(n.mark, path, fmt::format("rules nest at most {} levels deep", most_depth));
  switch (n.kind) {
    case Node::Kind::scalar:
      return member(n.text, n.mark, path, "");
    case Node::Kind::list:
      return group(Rule::Kind::all, n, path, depth);
    case Node::Kind::map:
      return from_map(n, path, depth);
    case Node::Kind::null:
      break;
  }
  return bad(n.mark, path, "is nothing; write the name of a check or a service, or a rule");
}

RuleReader::Parsed RuleReader::from_map(const Node& n, const std::string& path, int depth) {
  const bool is_nested = depth > 0;  // else the map also holds the service's own keys, which others look at
  std::vector<const Entry*> kinds;
  bool is_good = true;
  for (const Entry& e : n.entries) {
    const bool is_leaf = e.key == "check" || e.key == "service";
    if (e.key == "all" || e.key == "any" || e.key == "quorum" || e.key == "weighted" || (is_nested && is_leaf))
      kinds.push_back(&e);
    if (is_nested && std::find(words.begin(), words.end(), e.key) == words.end()) {
      bad(e.mark, path + "." + e.key, "unknown key of a rule" + suggestion(e.key, words));
      is_good = false;
    }
  }
  if (kinds.empty()) {
    if (!is_good) return {};
    if (n.find("of") != nullptr)
      return bad(n.mark, path, "has 'of' without 'quorum'; write {quorum: 2, of: [a, b, c]}");
    return bad(n.mark, path, "has no rule; write all: [...], any: [...], {quorum: N, of: [...]} or {weighted: {...}}");
  }
  if (kinds.size() > 1) {
    return bad(kinds[1]->mark, path,
               fmt::format("has both '{}' and '{}'; put one into the other, as in all: [a, {{any: [b, c]}}]",
                           kinds[0]->key, kinds[1]->key));
  }
  const Entry& e = *kinds.front();
  for (const auto& [word, owner] : {std::pair("of", "quorum"), {"pass", "weighted"}, {"warn", "weighted"}}) {
    if (const Entry* stray = n.find(word); stray != nullptr && e.key != owner) {
      bad(stray->mark, path + "." + word, fmt::format("belongs to '{}'; remove it", owner));
      is_good = false;
    }
  }
  Parsed out;
  const std::string inner = path + "." + e.key;
  if (e.key == "check" || e.key == "service") {
    if (const auto name = Reader{problems_, e.value, inner}.text()) out = member(*name, e.value.mark, inner, e.key);
  } else if (e.key == "quorum") {
    out = quorum(n, path, depth);
  } else if (e.key == "weighted") {
    out = weighted(n, path);
  } else {
    out = group(e.key == "all" ? Rule::Kind::all : Rule::Kind::any, e.value, inner, depth);
  }
  return is_good ? out : Parsed{};
}

RuleReader::Parsed RuleReader::group(Rule::Kind kind, const Node& list, const std::string& path, int depth) {
  if (list.is_bad) return {};
  if (!list.is_list())
    return bad(list.mark, path, fmt::format("is {}; write a list of checks, services or rules", kind_name(list)));
  if (list.items.empty())
    return bad(list.mark, path,
               fmt::format("is empty, so it could never {}; name at least one check",
                           kind == Rule::Kind::any ? "pass" : "fail"));
  Rule out{.kind = kind};
  bool is_good = true;
  std::set<std::string> seen;
  for (const Node& item : list.items) {
    if (item.is_scalar() && !seen.insert(item.text).second) {
      bad(item.mark, path, fmt::format("names '{}' twice; remove one", one_line(item.text, 64)));
      is_good = false;
      continue;
    }
    Parsed m = rule(item, path, depth + 1);
    if (m.how == Parsed::How::good) out.members.push_back(std::move(m.rule));
    is_good = is_good && m.how != Parsed::How::bad;
  }
  if (!is_good) return {};
  if (out.members.empty()) return {Parsed::How::disabled, {}};
  return good(std::move(out));
}

std::optional<std::int64_t> RuleReader::count(const Entry& e, const std::string& path) {
  return Reader{problems_, e.value, path}.integer({});
}

RuleReader::Parsed RuleReader::quorum(const Node& n, const std::string& path, int depth) {
  const Entry& e = *n.find("quorum");
  const std::string inner = path + ".quorum";
  const auto need = count(e, inner);
  const Entry* of = n.find("of");
  if (of == nullptr) return bad(e.mark, inner, "needs 'of'; write {quorum: 2, of: [a, b, c]}");
  Parsed out = group(Rule::Kind::quorum, of->value, path + ".of", depth);
  if (!need || out.how != Parsed::How::good) return need ? out : Parsed{};
  const auto members = static_cast<std::int64_t>(out.rule.members.size());
  if (*need < 1 || *need > members) {
    return bad(e.value.mark, inner,
               fmt::format("{} of {} members could never {}; write 1 to {}", *need, members,
                           *need < 1 ? "fail" : "pass", members));
  }
  out.rule.need = static_cast<unsigned>(*need);
  return out;
}

RuleReader::Parsed RuleReader::weighted(const Node& n, const std::string& path) {
  const Entry& e = *n.find("weighted");
  const Entry* pass_entry = n.find("pass");
  const Entry* warn_entry = n.find("warn");
  const std::string inner = path + ".weighted";
  if (e.value.is_bad) return {};
  if (!e.value.is_map() || e.value.entries.empty())
    return bad(e.value.mark, inner, "must be a map of members to weights, as in {a: 3, b: 1}");

  Rule out{.kind = Rule::Kind::weighted};
  std::int64_t sum = 0;
  bool is_good = true;
  for (const Entry& m : e.value.entries) {
    const std::string at = inner + "." + m.key;
    const auto weight = Reader{problems_, m.value, at}.integer(std::pair(1.0, 1000.0));
    Parsed leaf = member(m.key, m.mark, at, "");
    is_good = is_good && weight && leaf.how != Parsed::How::bad;
    if (!weight || leaf.how != Parsed::How::good) continue;
    out.members.push_back(std::move(leaf.rule));
    out.weights.push_back(static_cast<unsigned>(*weight));
    sum += *weight;
  }
  if (pass_entry == nullptr) return bad(e.mark, inner, "needs 'pass', the sum that passes, as in pass: 3");
  const auto pass = count(*pass_entry, path + ".pass");
  const auto warn = warn_entry != nullptr ? count(*warn_entry, path + ".warn") : std::optional<std::int64_t>(0);
  if (!is_good || !pass || !warn) return {};
  if (out.members.empty()) return {Parsed::How::disabled, {}};
  if (*pass < 1 || *pass > sum) {
    return bad(
        pass_entry->value.mark, path + ".pass",
        fmt::format("{} of a sum of {} could never {}; write 1 to {}", *pass, sum, *pass < 1 ? "fail" : "pass", sum));
  }
  if (warn_entry != nullptr && *warn < 1)
    return bad(warn_entry->value.mark, path + ".warn", fmt::format("{} could never fail; write 1 or more", *warn));
  if (*warn >= *pass) {
    return bad(warn_entry->value.mark, path + ".warn",
               fmt::format("{} is not below pass: {}, so it could never warn; write less, or remove it", *warn, *pass));
  }
  out.need = static_cast<unsigned>(*pass);
  out.need_warn = static_cast<unsigned>(*warn);
  return good(std::move(out));
}

}  // namespace vital::config
