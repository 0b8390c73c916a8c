// depth: how many jobs wait, as a command counts them. The command runs beside the loop (vital.spawn/1): argument
// vector, clean environment, killed with all it started when its time is over.
#include <cstdlib>
#include <string>
#include <vector>
#include <vitald/child.hpp>

namespace vc = vital::check;

static constexpr vc::OptionRow options[] = {
    {"command", vc::Type::list, nullptr, "what prints the number of jobs", "[/usr/bin/redis-cli, llen, jobs]",
     VITAL_OPTION_REQUIRED},
    {"fail", vc::Type::integer, "1000", "fail if more jobs than this wait", nullptr, 0, nullptr, 0, 1e9},
};

class Count final : public vc::AsyncProbe {
 public:
  Count(const vc::Host& host, const vc::Command& command, long long limit, const vc::Attempt& attempt,
        vc::Finisher finisher)
      : child_(host, command, attempt.remaining() * 9 / 10,
               [limit, finisher = std::move(finisher)](const vc::Ended& e) {
                 finisher.finish(judge(e, limit));  // ends this object, and the child with it
               }) {}

 private:
  static vc::Result judge(const vc::Ended& e, long long limit) {
    if (e.how == vc::Ended::How::timed_out) return vc::fail(vc::Cause::timeout, e.text);
    if (!e.is_success()) return vc::unknown(vc::Cause::config, e.text + ": " + e.errors);
    char* end = nullptr;
    const long long count = std::strtoll(e.output.c_str(), &end, 10);
    if (end == e.output.c_str()) return vc::unknown(vc::Cause::config, "the command prints no number: " + e.output);
    const std::string text = std::to_string(count) + " jobs wait";
    vc::Result result = count > limit ? vc::fail(vc::Cause::content, text) : vc::pass(text);
    return result.measure("jobs", static_cast<double>(count), "", vc::no_threshold, static_cast<double>(limit));
  }

  vc::Child child_;
};

class Depth final : public vc::Async {
 public:
  Depth(vc::Host host, const vc::Options& o) : host_(host), limit_(o.integer("fail")) {
    command_.argv = o.list("command");
    command_.output_limit = 4096;
  }
  std::unique_ptr<vc::AsyncProbe> start(const vc::Attempt& attempt, vc::Finisher finisher) override {
    return std::make_unique<Count>(host_, command_, limit_, attempt, std::move(finisher));
  }

 private:
  vc::Host host_;
  vc::Command command_;
  long long limit_;
};

VITAL_ASYNC_MODULE(Depth, "depth", "1.0", "how many jobs wait, as a command counts them", options)
