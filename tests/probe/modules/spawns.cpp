// An async module that runs a command with "vital.spawn/1" and says all it heard of it.
#include <fcntl.h>

#include <vitald/child.hpp>

namespace {

using namespace vital::check;

const char* word(Ended::How how) {
  switch (how) {
    case Ended::How::exited:
      return "exited";
    case Ended::How::signalled:
      return "signalled";
    case Ended::How::timed_out:
      return "timed out";
    case Ended::How::not_started:
      return "not started";
  }
  return "?";
}

class Runs final : public AsyncProbe {
 public:
  Runs(const Host& host, const Command& command, Duration limit, Finisher finisher)
      : finisher_(finisher), child_(host, command, limit, [this](const Ended& e) { heard(e); }) {
    is_made_ = true;
  }

 private:
  void heard(const Ended& e) {
    if (!is_made_) return finisher_.finish(fail(Cause::protocol, "told before start() returned"));
    Result result = pass(e.text);
    result.fact("how", word(e.how)).fact("code", std::to_string(e.code));
    result.fact("output", e.output.substr(0, 500)).fact("errors", e.errors.substr(0, 500));
    result.fact("cut", e.is_cut ? "yes" : "no").fact("left", e.left_children ? "yes" : "no");
    result.measure("bytes", static_cast<double>(e.output.size()), "B");
    finisher_.finish(result);
  }

  Finisher finisher_;
  bool is_made_ = false;
  Child child_;
};

class Spawns final : public Async {
 public:
  Spawns(Host host, const Options& options) : host_(host), limit_(options.duration("limit")) {
    // Careless, as libraries are: this would be inherited.
    [[maybe_unused]] static const int stray = open("/dev/null", O_RDONLY);
    command_.argv = options.list("command");
    command_.environment = options.map("env");
    command_.directory = options.text_or("directory", "");
    command_.input = std::string(static_cast<size_t>(options.integer("input")), 'x');
    command_.output_limit = static_cast<uint32_t>(options.integer("keep"));
  }
  std::unique_ptr<AsyncProbe> start(const Attempt&, Finisher finisher) override {
    return std::make_unique<Runs>(host_, command_, limit_, finisher);
  }

 private:
  Host host_;
  Command command_;
  Duration limit_;
};

constexpr OptionRow options[] = {
    {"command", Type::list, nullptr, "the command", "[/bin/true]", VITAL_OPTION_REQUIRED},
    {"env", Type::map, nullptr, "its environment"},
    {"directory", Type::string, nullptr, "where it runs"},
    {"input", Type::integer, "0", "so many bytes of input"},
    {"keep", Type::integer, "1000", "how much of its output to keep"},
    {"limit", Type::duration, "5s", "how long it may take"},
};

}  // namespace

VITAL_ASYNC_MODULE(Spawns, "spawns", "1.0", "runs a command", options)
