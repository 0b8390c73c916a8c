// The C++17 face of "vital.spawn/1": a command that runs while the loop turns, for async checks. Destroying the Child
// kills the command, so make it a member of your AsyncProbe and cancelling takes care of itself. [loop]
//
//   class Probe final : public vital::check::AsyncProbe {
//    public:
//     Probe(const vital::check::Host& host, const vital::check::Attempt& attempt, vital::check::Finisher finisher)
//         : child_(host, {{"/usr/bin/uptime"}}, attempt.remaining() * 9 / 10, [finisher](const vital::check::Ended& e)
//         {
//             finisher.finish(e.is_success() ? vital::check::pass(e.output)
//                                            : vital::check::fail(vital::check::Cause::content, e.text));
//           }) {}
//    private:
//     vital::check::Child child_;
//   };
#pragma once

#include <vitald/ext/spawn.h>

#include <functional>
#include <vitald/check.hpp>

namespace vital::check {

struct Command {
  std::vector<std::string> argv;  // argv[0] is a path, or a name looked up in PATH
  // Empty = a PATH of the system's folders and LANG=C.UTF-8.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;          // empty = /
  std::string input;              // for its standard input, at most 64 KiB
  uint32_t output_limit = 65536;  // bytes to keep of each stream
};

struct Ended {
  enum class How : uint32_t {
    exited = VITAL_SPAWN_EXITED,
    signalled = VITAL_SPAWN_SIGNALLED,
    timed_out = VITAL_SPAWN_TIMED_OUT,
    not_started = VITAL_SPAWN_NOT_STARTED
  };
  How how = How::not_started;
  int code = 0;  // exit code, signal or errno
  std::string output;
  std::string errors;
  bool is_cut = false;         // it wrote more than output_limit
  bool left_children = false;  // which were killed
  Duration took{};
  std::string text;  // one line: "/bin/false exited with code 1"

  bool is_success() const { return how == How::exited && code == 0; }
};

class Child {
 public:
  using Told = std::function<void(const Ended&)>;
  // `told` is called once, never from within this constructor; it may destroy the Child. Throws std::runtime_error if
  // the host has no "vital.spawn/1" or the command makes no sense; what the system refuses is told as not_started.
  Child(const Host& host, const Command& command, Duration timeout, Told told)
      : spawn_(host.spawn), told_(std::move(told)) {
    if (spawn_ == nullptr) throw std::runtime_error("this vitald cannot start commands for a module: it is too old");
    std::vector<std::string> pairs;
    for (const auto& [name, value] : command.environment) pairs.push_back(name + "=" + value);
    const std::vector<const char*> argv = pointers(command.argv);
    const std::vector<const char*> environment = pointers(pairs);
    vital_command c{};
    c.size = sizeof c;
    c.output_limit = command.output_limit;
    c.argv = argv.data();
    c.environment = pairs.empty() ? nullptr : environment.data();
    c.directory = command.directory.empty() ? nullptr : command.directory.c_str();
    c.input = command.input.data();
    c.input_size = command.input.size();
    c.timeout_ns = timeout.count() > 0 ? static_cast<uint64_t>(timeout.count()) : 0;
    child_ = spawn_->start(host.raw, &c, ended, this);
    if (child_ == nullptr) throw std::runtime_error("a command needs a program, and at most 64 KiB of input");
  }
  ~Child() { spawn_->give_up(child_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  static std::vector<const char*> pointers(const std::vector<std::string>& texts) {
    std::vector<const char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& t : texts) out.push_back(t.c_str());
    out.push_back(nullptr);
    return out;
  }
  static void ended(void* user, const vital_ended* how) {
    auto* self = static_cast<Child*>(user);
    self->child_ = nullptr;
    Ended e;
    e.how = static_cast<Ended::How>(how->how);
    e.code = how->code;
    e.output.assign(how->output, static_cast<size_t>(how->output_size));
    e.errors.assign(how->errors, static_cast<size_t>(how->errors_size));
    e.is_cut = (how->flags & VITAL_SPAWN_OUTPUT_CUT) != 0;
    e.left_children = (how->flags & VITAL_SPAWN_LEFT_CHILDREN) != 0;
    e.took = Duration(static_cast<Duration::rep>(how->took_ns));
    e.text = how->text;
    const Told told = std::move(self->told_);  // `self` may be gone after this call
    told(e);
  }

  const vital_spawn* spawn_;
  Told told_;
  vital_child* child_ = nullptr;
};

}  // namespace vital::check
