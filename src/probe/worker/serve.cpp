// Doing what the agent's socket says; see serve.hpp.
#include "probe/worker/serve.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/unique_fd.hpp"
#include "loop/loop.hpp"
#include "modules/channel.hpp"
#include "modules/launch.hpp"
#include "modules/wire.hpp"
#include "probe/worker/host.hpp"
#include "probe/worker/limits.hpp"

namespace vital::worker {
namespace {

// Out of the way of modules that close or reuse descriptors they do not own.
constexpr int high_descriptor = 200;

// Nothing to clean up that would be worth the risk: foreign libraries run code at a normal exit.
[[noreturn]] void leave(int code) { _exit(code); }

class Server {
 public:
  Server(UniqueFd socket, MarkPage mark, bool is_async)
      : mark_(std::move(mark)),
        is_async_(is_async),
        channel_(loop_, std::move(socket),
                 {[this](std::string_view payload) { take(payload); },
                  // The agent is gone, and with it everybody who could want an answer.
                  [](const std::string&) { leave(0); }}),
        host_(loop_, mark_.mark(),
              {[this](ProbeReport report) { answer(std::move(report)); },
               [this](std::uint32_t level, const std::string& check, const std::string& text) {
                 if (level > VITAL_LOG_DEBUG) tell(wire::Line{level, check, text});
               }}) {}

  void run() {
    tell(wire::Hello{wire::version, VITALD_VERSION});
    loop_.run();
  }

 private:
  void tell(const wire::ToAgent& message) { channel_.send(message); }

  void take(std::string_view payload) {
    const auto message = wire::decode_to_worker(payload);
    if (!message) leave(2);
    std::visit([this](const auto& m) { perform(m); }, *message);
  }

  void perform(const wire::Describe& m) {
    wire::Described out;
    if (const ModuleFile* module = host_.load(m.path, 0, &out.problem)) out.info = module->info();
    if (!channel_.send(wire::ToAgent(out)))
      tell(wire::Described{m.path + " declares more than fits into a message", {}});
  }
  void perform(const wire::Prepare& m) { host_.add(m.instance, {m.check, m.path, m.values}); }
  void perform(const wire::Create& m) {
    wire::Created out{m.instance, true, {}, {}};
    if (const auto refusal = host_.create(m.instance)) {
      out.is_ok = false;
      out.option = refusal->option;
      out.text = refusal->text;
    }
    tell(out);
    channel_.flush();
  }
  void perform(const wire::Forget& m) { host_.remove(m.instance); }
  void perform(const wire::Run& m) { host_.probe(m.instance, m.probe, m.attempt, m.deadline); }
  void perform(const wire::Cancel& m) {
    host_.cancel(m.probe);
    tell(wire::Cancelled{m.probe});
  }
  void perform(const wire::Ping& m) { tell(wire::Pong{m.number}); }
  void perform(const wire::Stop&) { loop_.stop(); }

  void answer(ProbeReport report) {
    wire::Result out{report.id, std::move(report.result), report.taken, report.worst_lag, false};
    if (!is_async_) {
      // Between blocking probes nothing of them may live on.
      pid_t ended = 0;
      do {
        ended = waitpid(-1, nullptr, WNOHANG);
      } while (ended > 0);
      out.left_children = ended == 0;
    }
    if (!channel_.send(wire::ToAgent(out))) {
      ProbeResult trouble;
      trouble.text = "the result does not fit into a message";
      tell(wire::Result{out.probe, std::move(trouble), out.taken, out.worst_lag, out.left_children});
    }
    // The agent waits for just this one; the async worker's leave together at the end of the turn.
    if (!is_async_) channel_.flush();
  }

  Loop loop_;
  MarkPage mark_;
  bool is_async_;
  wire::Channel channel_;
  Host host_;
};

struct Start {
  bool is_async = false;
  pid_t parent = 0;
  unsigned memory_mib = 0;
  unsigned processes = 0;
  std::string seccomp;
};

std::optional<Start> parse(const std::vector<std::string>& arguments) {
  const auto number = [](const std::string& text, auto& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
  };
  Start out;
  if (arguments.size() % 2 != 0) return {};
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& value = arguments[i + 1];
    if (arguments[i] == "--serve") {
      out.is_async = value == "async";
    } else if (arguments[i] == "--parent") {
      if (!number(value, out.parent)) return {};
    } else if (arguments[i] == "--memory-mib") {
      if (!number(value, out.memory_mib)) return {};
    } else if (arguments[i] == "--processes") {
      if (!number(value, out.processes)) return {};
    } else if (arguments[i] == "--seccomp") {
      out.seccomp = value;
    } else {
      return {};
    }
  }
  return out;
}

}  // namespace

int serve(const std::vector<std::string>& arguments) {
  const auto start = parse(arguments);
  if (!start) {
    fmt::print(stderr, "vitald-worker --serve is for vitald itself\n");
    return 2;
  }
  UniqueFd socket(fcntl(worker_socket_number, F_DUPFD_CLOEXEC, high_descriptor));
  UniqueFd memory(fcntl(worker_mark_number, F_DUPFD_CLOEXEC, high_descriptor));
  if (!socket || !memory) {
    fmt::print(stderr, "vitald-worker --serve is for vitald itself: it expects its socket and its mark\n");
    return 2;
  }
  close(worker_socket_number);
  close(worker_mark_number);
  if (!apply({start->parent, start->memory_mib, start->is_async, start->processes, start->seccomp})) return 2;
  MarkPage mark(std::move(memory));
  mark.close_descriptor();
  {
    Server server(std::move(socket), std::move(mark), start->is_async);
    server.run();
  }
  leave(0);
}

}  // namespace vital::worker
