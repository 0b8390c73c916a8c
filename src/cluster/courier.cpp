// See courier.hpp. Both ways it is lines of JSON over a socket: the bodies are JSON themselves, so nothing is split.
#include "cluster/courier.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/text.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr std::size_t most_waiting = 4 * std::size_t{1024} * 1024;
constexpr std::size_t longest_line = 4 * std::size_t{1024} * 1024;
constexpr Duration restart_pause = 1s;
constexpr Duration silence = 5s;  // after the deadline of a call it has not answered

std::string print(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

Courier::Courier(Loop& loop, std::string helper, const ClusterPlan& plan, Answered answered)
    : loop_(loop),
      helper_(std::move(helper)),
      greeting_(print({{"ca", plan.ca}, {"certificate", plan.certificate}, {"key", plan.key}})),
      answered_(std::move(answered)) {}

Courier::~Courier() { life_.reset(); }

void Courier::start() {
  if (Loop::now() < not_before_ || helper_.empty()) return;
  not_before_ = Loop::now() + restart_pause;
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) return;
  socket_.reset(pair[0]);
  const UniqueFd theirs(pair[1]);
  ChildOptions options;
  options.argv = {helper_};
  options.environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  options.descriptors = {{theirs.get(), 0}, {theirs.get(), 1}};
  try {
    child_ = Child::start(loop_, options, [this](int) { drop("ended"); });
  } catch (const std::system_error&) {
    socket_.reset();
    return;
  }
  ++restarts_;
  in_.clear();
  out_ = greeting_;
  due_.reset();
  watch_.emplace(
      loop_, socket_.get(), [this] { readable(); }, [this] { flush(); });
  watch_->want_read(true);
}

void Courier::send(const EtcdStore::Call& call) {
  if (due_ && Loop::now() > *due_) drop("is silent");
  if (!child_) start();
  const auto fail = [&](const char* why) {
    loop_.post([this, id = call.id, why = std::string(why), alive = std::weak_ptr<int>(life_)] {
      if (!alive.expired()) answered_(id, {why, 0, {}});
    });
  };
  if (helper_.empty()) return fail("cannot be reached: this build has no vitald-cluster (it needs libcurl)");
  if (!child_) return fail("cannot be reached: vitald-cluster does not run");
  if (out_.size() > most_waiting) return fail("cannot be reached: vitald-cluster does not read");
  Json json = {{"id", call.id},
               {"url", call.endpoint + call.path},
               {"body", call.body},
               {"not_after_ns", call.not_after.time_since_epoch().count()}};
  if (!call.authorization.empty()) json["authorization"] = call.authorization;
  out_ += print(json);
  last_sent_ = call.id;
  if (!due_) due_ = call.not_after + silence;
  flush();
}

void Courier::flush() {
  while (!out_.empty()) {
    const ssize_t n = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return drop("does not read");
    if (n < 0) break;
    out_.erase(0, static_cast<std::size_t>(n));
  }
  if (watch_) watch_->want_write(!out_.empty());
}

void Courier::readable() {
  std::array<char, 65536> part{};
  const ssize_t n = recv(socket_.get(), part.data(), part.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return drop("hung up");
  in_.append(part.data(), static_cast<std::size_t>(n));
  const auto alive = std::weak_ptr<int>(life_);
  for (std::size_t end = in_.find('\n'); end != std::string::npos; end = in_.find('\n')) {
    const std::string line = in_.substr(0, end);
    in_.erase(0, end + 1);
    take(line);
    if (alive.expired()) return;
  }
  if (in_.size() > longest_line) drop("says too much");
}

void Courier::take(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("id") || !json["id"].is_number_unsigned()) return drop("makes no sense");
  const auto id = json["id"].get<std::uint64_t>();
  const auto text = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
  };
  etcd::Reply reply{text("error"), 0, text("body")};
  if (json.contains("status") && json["status"].is_number_integer()) reply.status = json["status"].get<int>();
  due_.reset();
  if (id < last_sent_) due_ = Loop::now() + silence * 2;
  answered_(id, reply);
}

// The calls under way are lost; their deadlines find out.
void Courier::drop(const std::string&) {
  watch_.reset();
  socket_.reset();
  in_.clear();
  out_.clear();
  due_.reset();
  if (child_) {
    // It may be the one whose end we are being told of.
    loop_.post([gone = std::shared_ptr<Child>(std::move(child_))] { gone->kill_group(SIGKILL); });
  }
}

}  // namespace vital
