// Reading spool files and comparing looks; see spool.hpp.
#include "agent/spool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "config/yaml.hpp"

namespace vital {
namespace {

constexpr std::size_t longest_text = 512;
constexpr Duration longest_overlay = std::chrono::hours(24 * 3660);

std::string quote(std::string_view text) { return "'" + one_line(text, 128) + "'"; }

// The first mistake found ends the reading of a file.
struct Mistake {
  std::string text;
};

OverlayKind kind_named(std::string_view word) {
  for (const OverlayKind kind : {OverlayKind::drain, OverlayKind::maintenance}) {
    if (word == name(kind)) return kind;
  }
  return OverlayKind::none;
}

void read_name(const SpoolFile& file, const Plan& plan, Overlay& out) {
  const auto dot = file.name.rfind('.');
  const bool is_node = dot == std::string::npos;
  out.kind = kind_named(is_node ? file.name : std::string_view(file.name).substr(dot + 1));
  if (out.kind == OverlayKind::none) {
    throw Mistake{"is named neither drain nor maintenance, nor SERVICE.drain or SERVICE.maintenance: rename it"};
  }
  if (is_node) return;
  out.service = file.name.substr(0, dot);
  if (plan.find_service(out.service)) return;
  std::vector<std::string> names;
  for (const ServicePlan& s : plan.services) names.push_back(s.name);
  const auto near = nearest(out.service, names);
  throw Mistake{"there is no service " + quote(out.service) +
                (near ? ": did you mean " + *near + "?" : "; services here are " + join(names, ", "))};
}

WallTime end_after(const SpoolFile& file, const std::string& text) {
  const auto how_long = parse_duration(text);
  if (!how_long || *how_long <= Duration::zero() || *how_long > longest_overlay) {
    throw Mistake{"for: " + quote(text) + ": write a duration such as 30m or 2h, or leave it out"};
  }
  return file.changed + std::chrono::duration_cast<std::chrono::milliseconds>(*how_long);
}

void read_entry(const SpoolFile& file, const config::Entry& entry, Overlay& out) {
  static const std::vector<std::string> known{"reason", "owner", "for", "until"};
  if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
    const auto near = nearest(entry.key, known);
    throw Mistake{"unknown key " + quote(entry.key) +
                  (near ? ": did you mean " + *near + "?" : "; write reason, owner, for or until")};
  }
  if (!entry.value.is_scalar()) throw Mistake{entry.key + ": write one text"};
  const std::string& text = entry.value.text;
  if (entry.key == "reason") out.reason = one_line(text, longest_text);
  if (entry.key == "owner") out.owner = one_line(text, 128);
  if ((entry.key == "for" || entry.key == "until") && out.until) {
    throw Mistake{"says both for and until: leave one out"};
  }
  if (entry.key == "for") out.until = end_after(file, text);
  if (entry.key == "until") {
    out.until = parse_wall(text);
    if (!out.until) throw Mistake{"until: " + quote(text) + ": write a time in UTC, as in 2026-11-21T10:00:00Z"};
  }
}

void read_text(const SpoolFile& file, Overlay& out) {
  config::Problems problems;
  const auto tree = config::parse_yaml(file.text, problems.add_file(file.name), problems);
  if (problems.any()) {
    const Problem first = problems.problems().front();
    throw Mistake{fmt::format("line {}: {}", first.line, first.text)};
  }
  if (!tree || tree->is_null()) return;
  if (tree->is_scalar()) {
    out.reason = one_line(tree->text, longest_text);
    return;
  }
  if (!tree->is_map()) throw Mistake{"holds a list: write a reason, or keys: reason, owner, for, until"};
  for (const config::Entry& entry : tree->entries) read_entry(file, entry, out);
}

}  // namespace

bool SpoolFile::is_hidden() const {
  return name.starts_with('.') || name.ends_with('~') || name.ends_with(".tmp") || name.ends_with(".new") ||
         name.ends_with(".swp");
}

std::optional<Overlay> read_spool_file(const SpoolFile& file, const std::string& path, const Plan& plan,
                                       std::string* problem) {
  try {
    Overlay out;
    if (!file.problem.empty()) throw Mistake{file.problem};
    read_name(file, plan, out);
    read_text(file, out);
    if (out.owner.empty()) out.owner = file.user;
    out.since = file.changed;
    out.source = path;
    return out;
  } catch (const Mistake& mistake) {
    *problem = one_line(path + ": " + mistake.text, longest_text);
    return {};
  }
}

SpoolBook::News SpoolBook::take(const SpoolListing& listing, const Plan& plan, const std::vector<Overlay>& laid,
                                WallTime now) {
  News news;
  if (listing.folder != folder_) {
    known_.clear();
    folder_ = listing.folder;
  }
  is_blind_ = !listing.problem.empty();
  if (is_blind_) {
    if (complained_ != listing.problem) news.complaints.push_back(listing.problem);
    complained_ = listing.problem;
    return news;
  }
  complained_.clear();

  std::map<std::string, Known> seen;
  for (const SpoolFile& file : listing.files) {
    if (file.is_hidden()) continue;
    const std::string path = listing.folder + "/" + file.name;
    const auto before = known_.find(file.name);
    if (before != known_.end() && before->second.stamp == file.stamp) {
      seen.insert(*before);
      continue;
    }
    const auto lying = std::find_if(laid.begin(), laid.end(), [&](const Overlay& o) { return o.source == path; });
    std::string problem;
    Known known{file.stamp, read_spool_file(file, path, plan, &problem), false};
    if (!known.overlay) {
      // What it said while it made sense stands until it is gone.
      known.is_refused = true;
      if (lying != laid.end()) known.overlay = *lying;
      news.complaints.push_back(problem + (known.overlay ? " (until then the overlay it asked for before stays)" : ""));
    } else if (known.overlay->until && *known.overlay->until <= now) {
      known.overlay.reset();  // over before it began; the file may stay or go
    } else if (lying == laid.end() || !(*lying == *known.overlay)) {
      news.set.push_back(*known.overlay);
    }
    seen.emplace(file.name, std::move(known));
  }
  known_ = std::move(seen);

  for (const Overlay& o : laid) {
    if (o.source.empty()) continue;
    const bool is_wanted = std::any_of(known_.begin(), known_.end(), [&](const auto& k) {
      return k.second.overlay && k.second.overlay->source == o.source && k.second.overlay->service == o.service;
    });
    if (!is_wanted) news.clear.push_back(o);
  }
  return news;
}

std::size_t SpoolBook::refused() const {
  return static_cast<std::size_t>(
      std::count_if(known_.begin(), known_.end(), [](const auto& k) { return k.second.is_refused; }));
}

}  // namespace vital
