// One check: its name, the options every check has, those of its module; then what depends on what.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "config/draft.hpp"

namespace vital::config {
namespace {

// A check of this type is never probed: somebody reports it. Its module only declares what can be configured.
constexpr std::string_view reported_type = "heartbeat";
// What only a probe could have.
constexpr std::string_view of_probes[] = {"timeout", "retries", "retry_delay", "edge_interval", "warn_after"};

// A check of this type is judged by the core from what others found; its module only declares what can be configured.
constexpr std::string_view judged_type = "composite";
constexpr std::string_view of_attempts[] = {"timeout", "retries", "retry_delay", "warn_after"};

// The profile of a check that is reported: each report counts at once, and nothing is tried again.
Profile reported(Profile profile) {
  profile.timeout = {};
  profile.retries = 0;
  profile.rise = profile.fall = 1;
  return profile;
}

// The options of a check that is reported: refuses what it cannot have, and forgets what the defaults say of that.
void apply_reported(CheckDraft& check, const Section& section, CommonOptions own, CommonOptions defaults,
                    const Profile& profile, Problems& problems) {
  for (const std::string_view key : of_probes) {
    if (section.has(key)) {
      section.complain(key, "a heartbeat is never probed; remove it (interval and max_age say when a report is due)");
    }
  }
  for (CommonOptions* options : {&own, &defaults}) {
    options->timeout = options->retry_delay = options->edge_interval = options->warn_after = {};
    options->retries = {};
  }
  Profile fitting = reported(profile);
  if (own.max_age && !own.interval) {
    // Who says how long silence may last need not say how often a report comes.
    fitting.interval = std::min(defaults.interval ? defaults.interval->value : fitting.interval, own.max_age->value);
    defaults.interval = {};
  }
  apply_common(check, own, defaults, fitting, problems);
  std::erase_if(check.settings, [](const Setting& s) {
    return std::find(std::begin(of_probes), std::end(of_probes), s.name) != std::end(of_probes);
  });
  for (Setting& s : check.settings) {
    if (s.from.starts_with("profile") && (s.name == "rise" || s.name == "fall")) s.from = "default";
  }
}

// Which module a type is: exec with a lasting child is one of its own, since it runs on a worker's loop.
std::string module_of(const std::string& type, const Node& check) {
  const Entry* protocol = check.find("protocol");
  const bool is_lasting = type == "exec" && protocol != nullptr && protocol->value.text == "lines";
  return is_lasting ? "exec_lines" : type;
}

// The options of a check that is judged from others: it takes no time and is never tried again.
void apply_judged(CheckDraft& check, const Section& section, CommonOptions own, CommonOptions defaults, Profile profile,
                  Problems& problems) {
  for (const std::string_view key : of_attempts) {
    if (section.has(key))
      section.complain(key, "a composite is never probed; remove it (interval says how often it is judged)");
  }
  for (CommonOptions* options : {&own, &defaults}) {
    options->timeout = options->retry_delay = options->warn_after = {};
    options->retries = {};
  }
  profile.timeout = {};
  profile.retries = 0;
  apply_common(check, own, defaults, profile, problems);
  std::erase_if(check.settings, [](const Setting& s) {
    return std::find(std::begin(of_attempts), std::end(of_attempts), s.name) != std::end(of_attempts);
  });
}

// A check without a usable type: the keys that are nearly ones every check has are the only ones worth a word.
void explain_missing_type(const Entry& entry, const Section& section, Problems& problems) {
  bool is_misspelt = false;
  std::vector<std::string> known;
  for (const Key* k : keys_of("check")) known.emplace_back(k->name);
  for (const Entry* e : section.rest()) {
    const auto near = nearest(e->key, known);
    if (!near) continue;
    problems.add(e->mark, section.path_of(e->key), fmt::format("unknown key: did you mean '{}'?", *near));
    is_misspelt = is_misspelt || *near == "type";
  }
  if (!is_misspelt && !section.has("type"))
    problems.add(entry.mark, section.path(), "needs a type, as in type: http; 'vitald modules' lists them");
}

}  // namespace

bool is_good_name(const std::string& name, Mark mark, const std::string& path, Problems& problems) {
  const bool is_good = name.size() <= 64 &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
                           std::string::npos &&
                       std::string_view("_.-").find(name.front()) == std::string_view::npos;
  if (!is_good)
    problems.add(mark, path, "a name is letters, digits and _ . -, at most 64, and begins with a letter or digit");
  return is_good;
}

CheckDraft read_check(const Entry& entry, const CommonOptions& defaults, const Profile& profile, const Context& cx) {
  CheckDraft check;
  check.entry = &entry;
  check.plan.name = entry.key;
  is_good_name(entry.key, entry.mark, check.path(), cx.problems);
  if (entry.value.is_null() && !entry.value.is_bad) {
    cx.problems.add(entry.mark, check.path(),
                    "says nothing; write at least a type, as in type: http, or remove the line");
    return check;
  }
  const Section section(cx.problems, entry.value, check.path(), "check", Section::Unknown::collected);
  if (!section.is_map()) return check;

  const auto type = section.text("type");
  check.plan.is_passive = type == reported_type;
  if (check.plan.is_passive) {
    apply_reported(check, section, read_common(section), defaults, profile, cx.problems);
  } else if (type == judged_type) {
    apply_judged(check, section, read_common(section), defaults, profile, cx.problems);
  } else {
    apply_common(check, read_common(section), defaults, profile, cx.problems);
  }
  check.plan.description = section.text("description").value_or("");
  if (const Node* list = section.get("depends_on"); list != nullptr && section.texts("depends_on")) {
    if (list->is_scalar()) check.depends_on.push_back({list->text, list->mark});
    for (const Node& item : list->items) check.depends_on.push_back({item.text, item.mark});
  }

  if (!type) {
    explain_missing_type(entry, section, cx.problems);
    return check;
  }
  check.plan.type = *type;
  std::string why;
  const auto module = cx.modules.describe(module_of(*type, entry.value), &why);
  if (module == nullptr) {
    section.complain("type", why);
    return check;
  }
  auto spec = std::make_shared<CheckSpec>();
  spec->check = entry.key;
  spec->module = *module;
  if (read_options(entry, section.rest(), *spec, check.settings, cx)) check.spec = std::move(spec);
  return check;
}

std::vector<std::vector<std::uint32_t>> find_cycles(const std::vector<std::vector<std::uint32_t>>& edges) {
  enum class Colour : std::uint8_t { white, grey, black };
  std::vector<Colour> colour(edges.size(), Colour::white);
  std::vector<std::vector<std::uint32_t>> out;
  struct Step {
    std::uint32_t at;
    std::size_t next = 0;
  };
  for (std::uint32_t start = 0; start < edges.size(); ++start) {
    if (colour[start] != Colour::white) continue;
    std::vector<Step> way{{start}};
    colour[start] = Colour::grey;
    while (!way.empty()) {
      Step& step = way.back();
      if (step.next == edges[step.at].size()) {
        colour[step.at] = Colour::black;
        way.pop_back();
        continue;
      }
      const std::uint32_t to = edges[step.at][step.next++];
      if (colour[to] == Colour::white) {
        colour[to] = Colour::grey;
        way.push_back({to});
      } else if (colour[to] == Colour::grey) {
        std::vector<std::uint32_t> cycle;
        auto from = std::find_if(way.begin(), way.end(), [&](const Step& s) { return s.at == to; });
        for (; from != way.end(); ++from) cycle.push_back(from->at);
        out.push_back(std::move(cycle));
      }
    }
  }
  return out;
}

void resolve_dependencies(const std::vector<CheckDraft>& drafts, Plan& plan, Problems& problems) {
  std::map<std::string_view, std::uint32_t> index;
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < drafts.size(); ++i) {
    index.emplace(drafts[i].plan.name, i);
    names.push_back(drafts[i].plan.name);
  }
  std::vector<std::vector<std::uint32_t>> edges(drafts.size());
  for (std::uint32_t i = 0; i < drafts.size(); ++i) {
    const std::string path = drafts[i].path() + ".depends_on";
    for (const Name& name : drafts[i].depends_on) {
      const auto found = index.find(name.text);
      if (found == index.end()) {
        problems.add(name.mark, path,
                     fmt::format("there is no check '{}'{}", one_line(name.text, 64), suggestion(name.text, names)));
      } else if (std::count(edges[i].begin(), edges[i].end(), found->second) > 0) {
        problems.add(name.mark, path, fmt::format("names {} twice; remove one", name.text));
      } else {
        edges[i].push_back(found->second);
      }
    }
  }
  for (const auto& cycle : find_cycles(edges)) {
    std::vector<std::string> round;
    for (const std::uint32_t i : cycle) round.push_back(names[i]);
    round.push_back(round.front());
    // At the word that closes the round.
    const CheckDraft& last = drafts[cycle.back()];
    const auto word = std::find_if(last.depends_on.begin(), last.depends_on.end(),
                                   [&](const Name& n) { return n.text == round.back(); });
    problems.add(word->mark, last.path() + ".depends_on",
                 cycle.size() == 1 ? "a check cannot depend on itself; remove it"
                                   : fmt::format("the checks depend on each other in a circle: {}; remove one of these",
                                                 join(round, " -> ")));
  }
  for (std::uint32_t i = 0; i < drafts.size(); ++i) {
    const auto self = plan.find_check(drafts[i].plan.name);
    if (!self) continue;
    for (const std::uint32_t to : edges[i]) {
      // One that is disabled explains nothing.
      if (const auto id = plan.find_check(names[to])) plan.checks[self->value].depends_on.push_back(*id);
    }
  }
}

}  // namespace vital::config
