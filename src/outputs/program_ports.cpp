// See program_ports.hpp.
#include "outputs/program_ports.hpp"

#include <utility>

#include "base/text.hpp"
#include "outputs/environment.hpp"
#include "outputs/file_keeper.hpp"
#include "outputs/render.hpp"
#include "outputs/steps.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// Tells by running a program; looks by running another, if there is one.
class ExecPort final : public Steps {
 public:
  ExecPort(Loop& loop, OutputSpec spec, ExecOutput to) : Steps(loop), spec_(std::move(spec)), to_(std::move(to)) {}

  void sync(const Wanted& wanted, Done done) override {
    begin(std::move(done));
    wanted_ = wanted;
    if (!to_.verify.empty()) {
      run({to_.verify, environment(), {}}, [this](const Ran& ran) { ran.is_good ? kept() : tell(); });
    } else if (told_key_ == wanted.key) {
      loop().post([this, alive = std::weak_ptr<int>(life_)] {
        if (!alive.expired()) kept();
      });
    } else {
      tell();
    }
  }

 private:
  std::vector<std::string> environment() const { return environment_of(spec_, wanted_, told_); }

  void tell() {
    run({to_.command, environment(), {}}, [this](const Ran& ran) {
      if (!ran.is_good) return fail(ran.trouble);
      if (to_.verify.empty()) return written();
      run({to_.verify, environment(), {}}, [this](const Ran& seen) {
        if (!seen.is_good) return fail("after command: " + seen.trouble);
        written();
      });
    });
  }
  void kept() {
    remember();
    finish({Synced::How::kept, {}, {}, {}});
  }
  void written() {
    const std::string before = told_;
    remember();
    finish({Synced::How::written, {}, before, {}});
  }
  void remember() {
    told_key_ = wanted_.key;
    told_ = name(wanted_.word.told);
  }

  OutputSpec spec_;
  ExecOutput to_;
  Wanted wanted_;
  std::optional<std::string> told_key_;
  std::string told_;
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
};

// Pacemaker's attribute daemon forgets everything when it dies or the node leaves: so it is asked at every look.
class PacemakerPort final : public Steps {
 public:
  PacemakerPort(Loop& loop, PacemakerOutput to) : Steps(loop), to_(std::move(to)) {}

  void sync(const Wanted& wanted, Done done) override {
    begin(std::move(done));
    value_ = wanted.is_withdrawn ? "" : to_.values.at(static_cast<std::size_t>(wanted.word.told));
    run(program({"-Q"}), [this](const Ran& ran) { asked(ran); });
  }

 private:
  Program program(std::vector<std::string> more) const {
    std::vector<std::string> argv{to_.program, "-n", to_.attribute, "-N", to_.node};
    argv.insert(argv.end(), more.begin(), more.end());
    return {std::move(argv), plain_environment(), {}};
  }

  void asked(const Ran& ran) {
    const bool is_unset = ran.output.find("does not exist") != std::string::npos;
    if (!ran.is_good && !is_unset) return fail(ran.trouble);
    const std::string held = attribute_value(ran.output, to_.node).value_or("");
    if (held == value_) {
      sent_.reset();
      return finish({Synced::How::kept, {}, held, {}});
    }
    if (sent_ == value_ && Loop::now() >= patience_) {
      sent_.reset();
      const auto shown = [](const std::string& value) { return value.empty() ? "nothing" : one_line(value, 40); };
      return fail(to_.attribute + " was told " + shown(value_) + " and still holds " + shown(held));
    }
    // Telling it again would start the dampening anew, so that it would never come to an end.
    if (sent_ == value_) return finish({Synced::How::waiting, {}, held, again_in()});
    std::vector<std::string> how{"-D"};
    if (!value_.empty())
      how = {"-B", value_, "-d", std::to_string(std::chrono::ceil<std::chrono::seconds>(to_.dampening).count()) + "s"};
    run(program(std::move(how)), [this, held](const Ran& told) {
      if (!told.is_good) return fail(told.trouble);
      sent_ = value_;
      patience_ = Loop::now() + to_.dampening + 3s;
      finish({Synced::How::sent, {}, held.empty() ? "nothing" : held, to_.dampening + 100ms});
    });
  }
  Duration again_in() const { return std::max<Duration>(patience_ - 3s - Loop::now(), 200ms); }

  PacemakerOutput to_;
  std::string value_;                // empty = none
  std::optional<std::string> sent_;  // told, and not seen yet
  Instant patience_{};               // then it is told once more
};

// A file that nginx includes. nginx does not say what it runs with: that it was reloaded is known from the reload
// alone, so the first look after a start reloads it once.
class NginxPort final : public Steps {
 public:
  NginxPort(Loop& loop, NginxOutput to) : Steps(loop), keeper_(loop, to.path), to_(std::move(to)) {}

  void sync(const Wanted& wanted, Done done) override {
    begin(std::move(done));
    FileJob job;
    job.text = [to = to_, members = wanted.members] { return nginx_text(to, members); };
    keeper_.sync(std::move(job), [this, key = wanted.key](const Synced& synced) { kept(synced, key); });
  }
  bool has_stray() const override { return keeper_.is_busy(); }

 private:
  void kept(const Synced& synced, const std::string& key) {
    if (synced.how == Synced::How::failed) return finish(synced);
    if (synced.how == Synced::How::kept && reloaded_ == key) return finish(synced);
    reloaded_.reset();
    run({to_.reload, plain_environment(), {}}, [this, key, held = synced.held](const Ran& ran) {
      if (!ran.is_good) return fail("the file is written, but " + ran.trouble);
      reloaded_ = key;
      finish({Synced::How::written, {}, held, {}});
    });
  }

  FileKeeper keeper_;
  NginxOutput to_;
  std::optional<std::string> reloaded_;  // the key nginx was reloaded with
};

}  // namespace

std::optional<std::string> attribute_value(std::string_view answer, std::string_view node) {
  constexpr std::string_view before = "value=\"";
  for (const std::string_view line : split(answer, '\n')) {
    if (line.find("host=\"" + std::string(node) + "\"") == std::string_view::npos) continue;
    const std::size_t at = line.find(before);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = line.substr(at + before.size());
    const std::size_t end = rest.find('"');
    if (end == std::string_view::npos || end == 0) continue;
    return std::string(rest.substr(0, end));
  }
  return {};
}

std::unique_ptr<Port> make_exec_port(Loop& loop, const OutputSpec& spec, const ExecOutput& to) {
  return std::make_unique<ExecPort>(loop, spec, to);
}
std::unique_ptr<Port> make_pacemaker_port(Loop& loop, const PacemakerOutput& to) {
  return std::make_unique<PacemakerPort>(loop, to);
}
std::unique_ptr<Port> make_nginx_port(Loop& loop, const NginxOutput& to) {
  return std::make_unique<NginxPort>(loop, to);
}

}  // namespace vital
