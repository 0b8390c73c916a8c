// ocf: the monitor action of any OCF resource agent, run as Pacemaker would run it, without Pacemaker. Parameters go by
// environment (OCF_RESKEY_*), never by argument vector. Exit codes: OCF Resource Agent API 1.1 and Pacemaker
// Administration, "OCF Return Codes". A blocking module.
#include <string.h>
#include <unistd.h>

#include <string_view>
#include <vitald/check.hpp>

#include "child_process.hpp"
#include "nagios_output.hpp"

namespace {

using namespace vital::check;
using namespace std::chrono_literals;

constexpr const char* roles[] = {"any", "promoted", "unpromoted", nullptr};

constexpr OptionRow options[] = {
    {"agent", Type::string, nullptr, "which agent: PROVIDER:TYPE, or a path", "heartbeat:apache",
     VITAL_OPTION_REQUIRED},
    {"parameters", Type::map, nullptr, "its parameters, as a cluster would set them",
     "{configfile: /etc/apache2/apache2.conf}"},
    {"check_level", Type::integer, "0", "OCF_CHECK_LEVEL: 0 light, 10 medium, 20 heavy", "10", 0, nullptr, 0, 20},
    {"role", Type::choice, "any", "the role a promotable resource must have here", "promoted", 0, roles},
    {"root", Type::string, "/usr/lib/ocf", "OCF_ROOT"},
    {"instance", Type::string, "vitald", "OCF_RESOURCE_INSTANCE, which some agents name their files by"},
};

class Ocf final : public Blocking {
 public:
  explicit Ocf(const Options& o) : role_(o.text("role")) {
    const std::string agent = o.text("agent");
    const std::string root = o.text("root");
    std::string provider = "heartbeat";
    std::string type = agent.substr(agent.rfind('/') + 1);
    std::string path = agent;
    if (agent.find('/') == std::string::npos) {
      const std::string name = agent.rfind("ocf:", 0) == 0 ? agent.substr(4) : agent;
      const size_t colon = name.find(':');
      if (colon == std::string::npos || colon == 0 || colon + 1 == name.size()) {
        throw Invalid("agent", "'" + agent + "' is no agent: write PROVIDER:TYPE, as in heartbeat:apache, or a path");
      }
      provider = name.substr(0, colon);
      type = name.substr(colon + 1);
      path = root + "/resource.d/" + provider + "/" + type;
    }
    name_ = provider + ":" + type;
    command_.argv = {path, "monitor"};
    command_.environment = clean_environment();
    const std::pair<std::string, std::string> as_a_cluster_does[] = {
        {"OCF_ROOT", root},
        {"OCF_RA_VERSION_MAJOR", "1"},
        {"OCF_RA_VERSION_MINOR", "1"},
        {"OCF_RESOURCE_INSTANCE", o.text("instance")},
        {"OCF_RESOURCE_TYPE", type},
        {"OCF_RESOURCE_PROVIDER", provider},
        {"OCF_CHECK_LEVEL", o.text("check_level")},
        // Not 0: that would tell the agent this is the probe at start-up, which may take "not
        // installed" for "not running".
        {"OCF_RESKEY_CRM_meta_interval", "10000"}};
    for (const auto& variable : as_a_cluster_does) command_.environment.push_back(variable);
    for (auto& [key, value] : o.map("parameters")) command_.environment.emplace_back("OCF_RESKEY_" + key, value);
  }

  Result probe(const Attempt& attempt) override {
    const Duration margin = std::min<Duration>(100ms, attempt.remaining() / 10);
    const Duration timeout = attempt.remaining();
    Command command = command_;
    command.environment.emplace_back("OCF_RESKEY_CRM_meta_timeout", std::to_string(timeout / 1ms));
    const Ended ended = run_command(command, attempt.deadline() - margin, margin / 2);
    Result result = judge(ended);
    result.phase(Phase::exchange, ended.took);
    return result;
  }

 private:
  Result judge(const Ended& ended) const {
    std::string first = nagios::parse_output(ended.output).first_line;
    // What resource-agents put before the reason that Pacemaker is to show.
    constexpr std::string_view prefix = "ocf-exit-reason:";
    if (first.compare(0, prefix.size(), prefix) == 0) first.erase(0, prefix.size());
    const std::string said = first.empty() ? "" : ": " + first;
    if (!ended.is_started) return unknown(Cause::config, name_ + " could not be started: " + ended.failure);
    if (ended.leftovers.unkillable() > 0) {
      return unknown(Cause::agent, name_ + " left something " + ended.leftovers.complaint() + said);
    }
    if (ended.is_timed_out) return fail(Cause::timeout, name_ + " monitor did not end in time and was killed" + said);
    if (ended.signal != 0) {
      return unknown(Cause::agent, name_ + " monitor was " + describe_signal(ended.signal) + said);
    }
    switch (ended.exit_code) {
      case 0:
        return in_role("unpromoted", pass(name_ + " is running"));
      case 1:
        return fail(Cause::content, name_ + " reports an error" + said);
      case 2:
        return unknown(Cause::config, name_ + " rejects its parameters" + said);
      case 3:
        return unknown(Cause::config, name_ + " does not implement monitor" + said);
      case 4:
        return unknown(Cause::config, name_ + " lacks permission" + said);
      case 5:
        return unknown(Cause::config, name_ + " misses a program it needs" + said);
      case 6:
        return unknown(Cause::config, name_ + " is configured wrongly" + said);
      case 7:
        return fail(Cause::content, name_ + " is not running" + said);
      case 8:
        return in_role("promoted", pass(name_ + " is running as promoted"));
      case 9:
        return fail(Cause::content, name_ + " is promoted and failed" + said);
      case 190:
        return in_role("unpromoted", warn(Cause::content, name_ + " is running, degraded" + said));
      case 191:
        return in_role("promoted", warn(Cause::content, name_ + " is running as promoted, degraded" + said));
      default:
        return unknown(Cause::protocol, name_ + " answered exit code " + std::to_string(ended.exit_code) +
                                            ", which no OCF agent should" + said);
    }
  }

  // 0 means "running" for ordinary resources and "unpromoted" for promotable ones: only a wanted role tells them apart.
  Result in_role(const char* role, Result result) const {
    if (role_ != "any" && role_ != role) {
      result = fail(Cause::role, name_ + " is " + role + " here, wanted " + role_);
    }
    result.fact("role", role);
    return result;
  }

  std::string name_;
  std::string role_;
  Command command_;
};

}  // namespace

VITAL_BLOCKING_MODULE(Ocf, "ocf", "1.0", "the monitor action of any OCF resource agent", options)
