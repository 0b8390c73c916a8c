// The drbd check: runs `drbdsetup status --json`, which asks the kernel, and judges what it prints: role, disks,
// quorum, connections, what is out of sync, and whether this node could be promoted. [worker]
#include "../child_process.hpp"
#include "../words.hpp"
#include "status.hpp"

namespace vital::drbd {
namespace {

using namespace std::chrono_literals;
using check::Attempt;
using check::Bad;
using check::Cause;
using check::Duration;
using check::Limit;
using check::OptionRow;
using check::Options;
using check::Result;
using check::Type;

constexpr std::size_t most_output = 1 << 20;

class Drbd final : public check::Blocking {
 public:
  explicit Drbd(const Options& o) {
    command_.argv = {o.text("program"), "status", "--json"};
    command_.environment = check::clean_environment();
    command_.output_bound = most_output;
    demands_.resources = o.list("resources");
    demands_.role = o.text("role");
    demands_.out_of_sync = Limit::bytes(o, "warn_out_of_sync", "fail_out_of_sync");
  }

  Result probe(const Attempt& attempt) override {
    const Duration margin = std::min<Duration>(100ms, attempt.remaining() / 10);
    const check::Ended ended = check::run_command(command_, attempt.deadline() - margin, margin / 2);
    Result result = look(ended);
    result.phase(check::Phase::exchange, ended.took);
    return result;
  }

 private:
  Result look(const check::Ended& ended) const {
    const std::string doing = command_.argv[0] + " status --json ";
    const std::string said = ended.output.empty() ? "" : ": " + check::tidy(ended.output, 200);
    if (!ended.is_started)
      return check::unknown(Cause::config, command_.argv[0] + " could not be started: " + ended.failure);
    if (ended.leftovers.unkillable() > 0)
      return check::unknown(Cause::agent, doing + "left something " + ended.leftovers.complaint());
    if (ended.is_timed_out)
      return check::fail(Cause::timeout, doing + "did not end in time and was killed: does the kernel's DRBD hang?");
    if (ended.signal != 0) return check::unknown(Cause::agent, doing + "was " + check::describe_signal(ended.signal));
    if (ended.exit_code != 0) {
      const std::string text = doing + "ended with " + std::to_string(ended.exit_code) + said;
      const bool is_absent = ended.output.find("modprobe") != std::string::npos;
      return is_absent ? check::unknown(Cause::config, text + " (this kernel has no drbd)")
                       : check::unknown(Cause::agent, text);
    }
    if (ended.is_cut) return check::unknown(Cause::agent, doing + "printed more than 1 MiB");
    // Warnings on its error output may stand before and after the list.
    const std::size_t begin = ended.output.find('[');
    const std::size_t end = ended.output.rfind(']');
    const bool has_list = begin != std::string::npos && end != std::string::npos && begin < end;
    const auto all = has_list ? read_status(ended.output.substr(begin, end - begin + 1)) : std::nullopt;
    if (!all) return check::unknown(Cause::protocol, doing + "printed no list of resources" + said);
    return judge(*all, demands_);
  }

  check::Command command_;
  Demands demands_;
};

constexpr const char* roles[] = {"any", "primary", "secondary", nullptr};

constexpr OptionRow options[] = {
    {"resources", Type::list, nullptr, "the resources that matter, each of which must be up; default all that are",
     "[r0]"},
    {"role", Type::choice, "any", "what each of them must be here", nullptr, 0, roles},
    {"warn_out_of_sync", Type::size, nullptr, "more than this out of sync with one peer is a warning", "64MiB"},
    {"fail_out_of_sync", Type::size, nullptr, "more than this is a failure", "10GiB"},
    {"program", Type::string, "/usr/sbin/drbdsetup", "the program of drbd-utils, run as `drbdsetup status --json`"},
};

}  // namespace
}  // namespace vital::drbd

using vital::drbd::Drbd;
using vital::drbd::options;
VITAL_BLOCKING_MODULE(Drbd, "drbd", "1.0", "DRBD: role, disks, quorum, connections, and whether it could be promoted",
                      options)
