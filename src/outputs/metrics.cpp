// What is counted of outputs, as Prometheus text; see outputs.hpp.
#include <fmt/format.h>

#include "outputs/outputs.hpp"

namespace vital {
namespace {

constexpr OutputState states[] = {OutputState::pending, OutputState::ok, OutputState::failing};

// Names are letters, digits and _ . - by config's word, so nothing is to be escaped.
std::string labels(const OutputView& v) { return fmt::format("output=\"{}\",type=\"{}\"", v.name, v.type); }

}  // namespace

std::string output_metrics(const std::vector<OutputView>& views) {
  std::string out;
  if (views.empty()) return out;
  const auto family = [&](std::string_view called, std::string_view type, std::string_view help, const auto& value_of) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", called, help, called, type);
    for (const OutputView& v : views) out += fmt::format("{}{{{}}} {}\n", called, labels(v), value_of(v));
  };
  out +=
      "# HELP vitald_output_state 1 for the state the output is in, 0 for the others.\n"
      "# TYPE vitald_output_state gauge\n";
  for (const OutputView& v : views) {
    for (const OutputState s : states) {
      out += fmt::format("vitald_output_state{{{},state=\"{}\"}} {}\n", labels(v), name(s), v.state == s ? 1 : 0);
    }
  }
  family("vitald_output_looks_total", "counter",
         "How often what the other side holds was compared with what is wanted.",
         [](const OutputView& v) { return v.counters.looks; });
  family("vitald_output_changes_total", "counter", "How often something else was told.",
         [](const OutputView& v) { return v.counters.changes; });
  family("vitald_output_repairs_total", "counter", "How often the other side had lost or changed what it was told.",
         [](const OutputView& v) { return v.counters.repairs; });
  family("vitald_output_failures_total", "counter", "Looks that did not succeed, timeouts included.",
         [](const OutputView& v) { return v.counters.failures; });
  family("vitald_output_timeouts_total", "counter", "Looks that took longer than they may.",
         [](const OutputView& v) { return v.counters.timeouts; });
  family("vitald_output_queued", "gauge", "Messages that wait to be delivered.",
         [](const OutputView& v) { return v.queued; });
  family("vitald_output_dropped_total", "counter", "Messages that were given up: too many, too old, or refused.",
         [](const OutputView& v) { return v.dropped; });
  return out;
}

}  // namespace vital
