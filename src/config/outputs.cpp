// The outputs section: a list of maps, each read by the table of what every output has and what its type has.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/output_targets.hpp"

namespace vital::config {
namespace {

constexpr std::size_t most_outputs = 64;

void read_on_stop(const Section& s, const OutputType& type, OutputSpec& out) {
  const auto written = s.choice("on_stop");
  if (!written) return;
  if (type.on_stop.count(*written) == 0) {
    std::vector<std::string> names(type.on_stop.begin(), type.on_stop.end());
    s.complain("on_stop", fmt::format("'{}' means nothing for this type; write {}", *written, join(names, " or ")));
    return;
  }
  out.on_stop = *written == "pass"       ? OnStop::pass
                : *written == "fail"     ? OnStop::fail
                : *written == "withdraw" ? OnStop::withdraw
                                         : OnStop::leave;
}

std::optional<OutputSpec> read_output(const Node& node, const std::string& path, const Plan& plan, const Context& cx) {
  if (node.is_bad) return {};
  // First only to find its type: what else is in it is looked at by the type's table.
  const Section any(cx.problems, node, path, "output", Section::Unknown::collected);
  if (!any.is_map()) return {};
  if (!any.has("type")) {
    cx.problems.add(node.mark, path + ".type", "is missing; write type: keepalived, or another of docs/outputs.md");
    return {};
  }
  const auto type = any.choice("type");
  if (!type) return {};
  const OutputType& kind = output_types().at(*type);
  const Section s(cx.problems, node, path, kind.section);
  OutputSpec out;
  out.name = s.text("name").value_or(*type);
  if (s.has("name"))
    is_good_name(out.name, s.get("name") != nullptr ? s.get("name")->mark : node.mark, path, cx.problems);
  out.service = read_service_name(s, plan, "service");
  out.interval = s.duration("interval").value_or(kind.interval);
  out.timeout = s.duration("timeout").value_or(std::min(kind.timeout, out.interval));
  if (out.timeout > out.interval) {
    s.complain("timeout",
               fmt::format("the timeout {} is longer than the interval {}; write at most {}",
                           format_duration(out.timeout), format_duration(out.interval), format_duration(out.interval)));
  }
  read_on_stop(s, kind, out);
  out.target = kind.read(s, plan, cx);
  return out;
}

// The file an output keeps; empty if it keeps none.
std::string file_of(const OutputTarget& target) {
  return std::visit(
      [](const auto& t) -> std::string {
        if constexpr (requires { t.path; }) return t.path;
        return {};
      },
      target);
}

}  // namespace

std::vector<OutputSpec> read_outputs(const Node* section, const Plan& plan, const Context& cx) {
  std::vector<OutputSpec> out;
  if (section == nullptr) return out;
  if (!section->is_list()) {
    cx.problems.add(
        section->mark, "outputs",
        fmt::format("is {}; write a list, as in outputs: [{{type: keepalived, path: /run/...}}]", kind_name(*section)));
    return out;
  }
  if (section->items.size() > most_outputs) {
    cx.problems.add(section->mark, "outputs", fmt::format("has more than {} entries; write fewer", most_outputs));
    return out;
  }
  std::set<std::string> names;
  std::set<std::string> files;
  for (std::size_t i = 0; i < section->items.size(); ++i) {
    const Node& node = section->items[i];
    const std::string path = fmt::format("outputs[{}]", i);
    auto spec = read_output(node, path, plan, cx);
    if (!spec) continue;
    if (!names.insert(spec->name).second) {
      cx.problems.add(node.mark, path + ".name",
                      fmt::format("another output is called '{}' too; write name: with another one", spec->name));
    }
    const std::string file = file_of(spec->target);
    if (!file.empty() && !files.insert(file).second) {
      cx.problems.add(node.mark, path + ".path",
                      fmt::format("another output keeps {} too; write another path", one_line(file, 200)));
    }
    out.push_back(std::move(*spec));
  }
  return out;
}

}  // namespace vital::config
