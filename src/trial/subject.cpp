// Speaking to a worker under trial; see subject.hpp.
#include "trial/subject.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <variant>

#include "loop/loop.hpp"
#include "modules/channel.hpp"
#include "modules/launch.hpp"

namespace vital::trial {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t max_lines = 1000;
constexpr std::uint32_t warning = 2;

}  // namespace

struct Subject::Impl {
  Loop loop;
  std::string ended;  // how; empty while it lives
  std::unique_ptr<Child> child;
  std::optional<MarkPage> mark;
  std::optional<wire::Channel> channel;
  std::uint64_t last_probe = 0;
  std::uint64_t last_ping = 0;
  std::uint64_t pong = 0;
  std::optional<wire::Created> created;
  std::map<std::uint64_t, wire::Result> results;
  std::set<std::uint64_t> cancelled;
  std::vector<std::string> lines;
  std::size_t logged = 0;

  Impl(const std::string& worker, bool is_async) {
    LaunchOptions options;
    options.worker = worker;
    options.role = is_async ? "async" : "blocking";
    Launched launched = launch_worker(loop, options, [this](int status) {
      if (channel) channel->read_all();
      ended = describe_status(status);
      loop.stop();
    });
    child = std::move(launched.child);
    mark.emplace(std::move(launched.mark));
    channel.emplace(loop, std::move(launched.socket),
                    wire::Channel::Handlers{[this](std::string_view payload) { take(payload); }, {}});
  }

  void take(std::string_view payload) {
    const auto message = wire::decode_to_agent(payload);
    if (!message) return;
    if (const auto* pong_message = std::get_if<wire::Pong>(&*message)) pong = pong_message->number;
    if (const auto* made = std::get_if<wire::Created>(&*message)) created = *made;
    if (const auto* result = std::get_if<wire::Result>(&*message)) results.insert_or_assign(result->probe, *result);
    if (const auto* gone = std::get_if<wire::Cancelled>(&*message)) cancelled.insert(gone->probe);
    if (const auto* line = std::get_if<wire::Line>(&*message)) {
      ++logged;
      if (line->level >= warning && lines.size() < max_lines) lines.push_back(line->text);
      return;
    }
    loop.stop();
  }

  template <typename Condition>
  bool wait(const Condition& condition, Duration patience) {
    const Instant until = Loop::now() + patience;
    while (!condition() && ended.empty() && Loop::now() < until) loop.run_for(until - Loop::now());
    return condition();
  }

  template <typename Message>
  void tell(const Message& message) {
    channel->send(wire::ToWorker(message));
    channel->flush();
  }
};

Subject::Subject(const std::string& worker, bool is_async) : impl_(std::make_unique<Impl>(worker, is_async)) {}

Subject::~Subject() {
  impl_->child->kill_group(SIGKILL);
  impl_->wait([] { return false; }, 1s);
}

bool Subject::is_alive() const { return impl_->ended.empty(); }

std::string Subject::death() const {
  const std::string_view where = name(impl_->mark->stage());
  const std::string how = is_alive() ? "did not come back" : impl_->ended;
  return where == name(Stage::idle) ? how : fmt::format("{} in {}", how, where);
}

void Subject::prepare(std::uint32_t instance, const CheckSpec& spec) {
  impl_->tell(wire::Prepare{instance, spec.check, spec.module.path, spec.values});
}

std::optional<wire::Created> Subject::create(std::uint32_t instance, Duration patience) {
  impl_->created.reset();
  impl_->tell(wire::Create{instance});
  impl_->wait([&] { return impl_->created.has_value(); }, patience);
  return impl_->created;
}

void Subject::forget(std::uint32_t instance) { impl_->tell(wire::Forget{instance}); }

bool Subject::ping(Duration patience) {
  impl_->tell(wire::Ping{++impl_->last_ping});
  return impl_->wait([&] { return impl_->pong == impl_->last_ping; }, patience);
}

std::uint64_t Subject::start(std::uint32_t instance, Instant deadline) {
  impl_->tell(wire::Run{++impl_->last_probe, instance, 0, deadline});
  return impl_->last_probe;
}

std::optional<wire::Result> Subject::result(std::uint64_t probe, Duration patience) {
  impl_->wait([&] { return impl_->results.contains(probe); }, patience);
  const auto at = impl_->results.find(probe);
  if (at == impl_->results.end()) return {};
  wire::Result out = std::move(at->second);
  impl_->results.erase(at);
  return out;
}

bool Subject::cancel(std::uint64_t probe, Duration patience) {
  impl_->tell(wire::Cancel{probe});
  const bool is_answered = impl_->wait([&] { return impl_->cancelled.contains(probe); }, patience);
  impl_->cancelled.erase(probe);
  impl_->results.erase(probe);
  return is_answered;
}

void Subject::turn(Duration time) {
  impl_->wait([] { return false; }, time);
}

Footprint Subject::footprint() const {
  Footprint out;
  const std::string base = fmt::format("/proc/{}", impl_->child->pid());
  std::error_code error;
  for (std::filesystem::directory_iterator at(base + "/fd", error), end; !error && at != end; at.increment(error))
    ++out.descriptors;
  std::ifstream status(base + "/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") status >> out.resident_kib;
    if (word == "Threads:") status >> out.threads;
  }
  std::ifstream children(fmt::format("{}/task/{}/children", base, impl_->child->pid()));
  for (pid_t pid = 0; children >> pid;) ++out.children;
  return out;
}

const std::vector<std::string>& Subject::lines() const { return impl_->lines; }
std::size_t Subject::logged() const { return impl_->logged; }

}  // namespace vital::trial
