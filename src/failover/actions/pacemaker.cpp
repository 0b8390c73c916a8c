// pacemaker.standby, pacemaker.move, pacemaker.ban: what Pacemaker is asked for, by its own tools, and what came of it
// by crm_mon. Order, fencing and the work itself are Pacemaker's. Built once for each, with VITAL_WISH
// its name and VITAL_OF_RESOURCE whether it is about one resource.
//
// A move and a ban leave a constraint in the cluster, which holds until it is taken back: compensate does, and reads
// back that it is gone.
#include <algorithm>
#include <string_view>

#include "action.hpp"
#include "checks/child_process.hpp"
#include "checks/words.hpp"
#include "pacemaker_status.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;
using pacemaker::Asked;
using pacemaker::Claim;
using pacemaker::Status;
using pacemaker::Wish;

constexpr std::string_view wish_name = VITAL_WISH;
constexpr Wish wish = wish_name == "standby" ? Wish::standby : wish_name == "move" ? Wish::move : Wish::ban;
constexpr const char* node_help = wish == Wish::standby ? "the node that shall run nothing, as Pacemaker names it"
                                  : wish == Wish::move  ? "the node it shall run on, as Pacemaker names it"
                                                        : "the node it shall not run on, as Pacemaker names it";
constexpr const char* node_example = wish == Wish::move ? "{to}" : "{from}";

constexpr OptionRow options[] = {
    {"programs", Type::string, "/usr/sbin", "where crm_mon, crmadmin, crm_resource, crm_standby and cibadmin are"},
    {"node", Type::string, nullptr, node_help, node_example, VITAL_OPTION_REQUIRED},
#if VITAL_OF_RESOURCE
    {"resource", Type::string, nullptr, "the resource, group or promotable clone", "db-clone", VITAL_OPTION_REQUIRED},
    {"promoted", Type::boolean, "false", "of a promotable clone: mean where it is promoted, not where it runs"},
#endif
    VITAL_STEP_ROWS};

class Pacemaker final : public Action {
 public:
  explicit Pacemaker(const Options& o) : programs_(o.text("programs")) {
    asked_.wish = wish;
    asked_.node = named(o, "node");
    if (wish != Wish::standby) {
      asked_.resource = named(o, "resource");
      asked_.is_of_promoted = o.boolean("promoted");
    }
    if (programs_.empty() || programs_[0] != '/') throw Invalid("programs", "must be absolute");
  }

  Result check(const Step&, const Attempt& attempt) override {
    Status seen;
    if (Result r = look(attempt, seen); r.verdict != Verdict::pass) return r;
    const std::string why = obstacle(seen, asked_);
    if (!why.empty()) return fail(Cause::content, why);
    return pass("Pacemaker would do it; now: " + judge(seen, asked_).text);
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    Status seen;
    bool is_settled = false;
    if (Result r = look_settled(attempt, seen, is_settled); r.verdict != Verdict::pass) return r;
    if (const Claim now = judge(seen, asked_); now.holds && is_settled) return pass("already: " + now.text);
    if (const std::string why = obstacle(seen, asked_); !why.empty()) veto(why);
    step.begin_effect();
    switch (wish) {
      case Wish::standby:
        return told({"crm_standby", "-N", asked_.node, "-v", "on"}, attempt);
      case Wish::move:
        return told(with_resource("--move"), attempt);
      case Wish::ban:
        break;
    }
    return told(with_resource("--ban"), attempt);
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return poll_until(attempt.deadline() - 300ms, 300ms, [&] {
      Status seen;
      bool is_settled = false;
      if (Result r = look_settled(attempt, seen, is_settled); r.verdict != Verdict::pass) return r;
      const Claim now = judge(seen, asked_);
      if (now.holds && !is_settled) return fail(Cause::content, "Pacemaker is still at work; now: " + now.text);
      return now.holds ? pass(now.text) : fail(Cause::content, now.text);
    });
  }

  Result compensate(const Step& step, const Attempt& attempt) override {
    step.begin_effect();
    const bool is_standby = wish == Wish::standby;
    if (Result r = told(is_standby ? Argv{"crm_standby", "-N", asked_.node, "-D"} : with_resource("--clear"), attempt);
        r.verdict != Verdict::pass) {
      return r;
    }
    return is_standby ? is_out_of_standby(attempt) : is_clear(attempt);
  }

 private:
  using Argv = std::vector<std::string>;

  static std::string named(const Options& o, const char* option) {
    std::string out = o.text(option);
    const bool is_plain = !out.empty() && out.front() != '-' && out.size() < 256 &&
                          std::none_of(out.begin(), out.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
    if (!is_plain) throw Invalid(option, shown(out) + " is no name of Pacemaker's");
    return out;
  }

  Argv with_resource(const char* verb) const {
    Argv out{"crm_resource", verb, "-r", asked_.resource, "-N", asked_.node};
    if (asked_.is_of_promoted) out.emplace_back("--promoted");
    return out;
  }

  Result look(const Attempt& attempt, Status& seen) const {
    std::string said, why;
    const Result r =
        ran({"crm_mon", "-1", "--output-as=xml", "--include=none,summary,options,nodes,resources,bans", "--inactive"},
            attempt, said);
    if (r.verdict != Verdict::pass) return r;
    auto read = pacemaker::read_status(said, why);
    if (!read) return fail(Cause::protocol, "crm_mon says something else than expected: " + why);
    seen = std::move(*read);
    return r;
  }

  // What is shown to run nowhere may be starting at this moment: only what is seen while Pacemaker has nothing to do
  // counts. First whether it has, then the look, so that nothing can begin in between that is not heeded.
  Result look_settled(const Attempt& attempt, Status& seen, bool& is_settled) const {
    Result r = look(attempt, seen);
    if (r.verdict != Verdict::pass || seen.dc.empty()) return r;
    std::string said;
    r = ran({"crmadmin", "-S", seen.dc, "--output-as=xml"}, attempt, said);
    if (r.verdict != Verdict::pass) return r;
    is_settled = pacemaker::controller_state_in(said) == "S_IDLE";
    return look(attempt, seen);
  }

  Result is_out_of_standby(const Attempt& attempt) const {
    Status seen;
    if (Result r = look(attempt, seen); r.verdict != Verdict::pass) return r;
    for (const pacemaker::Node& n : seen.nodes) {
      if (n.name == asked_.node && n.is_standby) return fail(Cause::content, n.name + " is still in standby");
    }
    return pass(asked_.node + " is not in standby any more");
  }

  Result is_clear(const Attempt& attempt) const {
    std::string said;
    if (Result r = ran({"cibadmin", "-Q", "-o", "constraints"}, attempt, said); r.verdict != Verdict::pass) return r;
    for (const std::string& id : pacemaker::constraints_in(said)) {
      const bool is_ours = id == (wish == Wish::move ? "cli-prefer-" + asked_.resource
                                                     : "cli-ban-" + asked_.resource + "-on-" + asked_.node);
      if (is_ours) return fail(Cause::content, "the constraint " + id + " is still there");
    }
    return pass("there is no constraint of it any more");
  }

  // The effect: killed in the middle, it may have been done.
  Result told(const Argv& argv, const Attempt& attempt) const {
    std::string said;
    Result r = ran(argv, attempt, said);
    return r.cause == Cause::timeout ? r.fact("outcome", "timeout") : r;
  }

  Result ran(Argv argv, const Attempt& attempt, std::string& said) const {
    constexpr std::size_t most_output = 4 * 1024 * 1024;
    constexpr int no_permission = 4, no_cluster = 102;
    const std::string name = argv.front();
    argv.front() = programs_ + "/" + name;
    Command command;
    command.argv = std::move(argv);
    command.environment = clean_environment();
    command.output_bound = most_output;
    const Duration margin = std::min<Duration>(200ms, attempt.remaining() / 5);
    const Ended ended = run_command(command, attempt.deadline() - margin, margin / 2);
    said = ended.output;
    if (!ended.is_started) return fail(Cause::config, name + " could not be started: " + ended.failure);
    if (ended.is_timed_out) return fail(Cause::timeout, name + " did not end in time");
    if (ended.signal != 0) return fail(Cause::content, name + " was " + describe_signal(ended.signal));
    if (ended.is_cut) return fail(Cause::protocol, name + " says more than 4 MiB");
    if (ended.exit_code == 0) return pass("Pacemaker was told by " + name);
    const std::string trouble = pacemaker::trouble_in(said);
    const Cause cause = ended.exit_code == no_cluster      ? Cause::refused
                        : ended.exit_code == no_permission ? Cause::auth
                                                           : Cause::content;
    return fail(cause, name + " ended with " + std::to_string(ended.exit_code) + ": " +
                           (trouble.empty() ? tidy(said, 160) : tidy(trouble, 160)));
  }

  std::string programs_;
  Asked asked_;
};

}  // namespace

VITAL_ACTION(Pacemaker, "pacemaker." VITAL_WISH, "1.0", "has Pacemaker do it: " VITAL_WISH, options)
