// See environment.hpp.
#include "outputs/environment.hpp"

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital {

std::vector<std::string> plain_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
}

std::vector<std::string> environment_of(const OutputSpec& spec, const Wanted& wanted, std::string_view previous) {
  std::vector<std::string> out = plain_environment();
  const auto add = [&](std::string_view called, std::string_view value) {
    out.push_back("VITALD_" + std::string(called) + "=" + one_line(value, 400));
  };
  add("OUTPUT", spec.name);
  add("NODE", wanted.snapshot ? wanted.snapshot->plan->node : wanted.word.subject);
  add("SERVICE", spec.service);
  add("STATUS", name(wanted.word.told));
  add("PREVIOUS", previous);
  add("WEIGHT", std::to_string(wanted.word.weight));
  add("REASON", wanted.word.reason);
  add("SINCE", format_wall(wanted.word.since));
  return out;
}

}  // namespace vital
