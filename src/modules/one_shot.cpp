// A short-lived worker; see one_shot.hpp.
#include "modules/one_shot.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <deque>
#include <utility>

#include "base/duration.hpp"
#include "loop/loop.hpp"
#include "modules/channel.hpp"
#include "modules/launch.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;
constexpr Duration patience_to_die = 1s;

}  // namespace

struct OneShot::Impl {
  Loop loop;
  std::string broken;  // how it ended, or what is wrong with what it says
  bool is_running = true;
  std::deque<wire::ToAgent> answers;
  std::unique_ptr<Child> child;
  std::optional<wire::Channel> channel;

  Impl(const std::string& worker, const std::string& role) {
    LaunchOptions options;
    options.worker = worker;
    options.role = role;
    Launched launched = launch_worker(loop, options, [this](int status) {
      is_running = false;
      // Its last words may still be on the way: they come first.
      if (channel) channel->read_all();
      if (broken.empty()) broken = describe_status(status);
      loop.stop();
    });
    child = std::move(launched.child);
    channel.emplace(loop, std::move(launched.socket),
                    wire::Channel::Handlers{[this](std::string_view payload) { take(payload); }, {}});
  }

  void take(std::string_view payload) {
    auto message = wire::decode_to_agent(payload);
    if (!message) return fail("sent something that makes no sense");
    if (const auto* hello = std::get_if<wire::Hello>(&*message)) {
      if (hello->version != wire::version)
        fail(fmt::format("is vitald-worker {}, this is {}", hello->program, VITALD_VERSION));
      return;
    }
    if (std::holds_alternative<wire::Line>(*message)) return;
    answers.push_back(std::move(*message));
    loop.stop();
  }

  void fail(std::string why) {
    if (broken.empty()) broken = std::move(why);
    loop.stop();
  }
};

OneShot::OneShot(const std::string& worker, const std::string& role) : impl_(std::make_unique<Impl>(worker, role)) {}

OneShot::~OneShot() {
  impl_->child->kill_group(SIGKILL);
  const Instant until = Loop::now() + patience_to_die;
  while (impl_->is_running && Loop::now() < until) impl_->loop.run_for(until - Loop::now());
}

bool OneShot::tell(const wire::ToWorker& message) { return impl_->channel->send(message); }

std::optional<wire::ToAgent> OneShot::ask(const wire::ToWorker& message, Duration patience, std::string* why) {
  const Instant until = Loop::now() + patience;
  if (!tell(message)) {
    *why = "was asked something longer than a message may be";
    return {};
  }
  while (impl_->answers.empty() && impl_->broken.empty() && Loop::now() < until)
    impl_->loop.run_for(until - Loop::now());
  if (!impl_->answers.empty()) {
    auto answer = std::move(impl_->answers.front());
    impl_->answers.pop_front();
    return answer;
  }
  *why =
      !impl_->broken.empty() ? impl_->broken : fmt::format("did not come back within {}", friendly_duration(patience));
  return {};
}

}  // namespace vital
