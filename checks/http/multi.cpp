// libcurl's multi_socket interface on the host's loop; see multi.hpp.
#include "multi.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <exception>

namespace vital::http {

struct Multi::Socket {
  explicit Socket(const check::Host& host) : watch(host) {}
  net::Watch watch;
};

namespace {
Transfer* owner_of(CURL* easy) {
  char* raw = nullptr;
  if (easy != nullptr) curl_easy_getinfo(easy, CURLINFO_PRIVATE, &raw);
  return reinterpret_cast<Transfer*>(raw);
}
}  // namespace

std::shared_ptr<Multi> Multi::shared() {
  static std::weak_ptr<Multi> the_one;
  if (auto running = the_one.lock()) return running;
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return nullptr;
  auto made = std::make_shared<Multi>();
  if (made->multi_ == nullptr) return nullptr;
  the_one = made;
  return made;
}

Multi::Multi() : multi_(curl_multi_init()) {
  if (multi_ == nullptr) return;
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Multi::socket_changed);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Multi::timer_changed);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  // How many connections are kept is bounded by the checks that want one kept; by default libcurl would close them by
  // the number of transfers that happen to run.
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 100000L);
}

Multi::~Multi() {
  timer_.reset();
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
}

void Multi::attach(const check::Host& host) { hosts_.push_back(host); }

void Multi::detach(const check::Host& host, const void* owner) {
  // libcurl has no call that closes a kept connection: it is ended here, and libcurl drops the dead one by itself when
  // it next looks for a connection, or with the last check.
  for (const auto& [fd, whose] : kept_) {
    if (whose == owner) ::shutdown(fd, SHUT_RDWR);
  }
  const bool was_oldest = !hosts_.empty() && hosts_.front().raw == host.raw;
  hosts_.erase(std::remove_if(hosts_.begin(), hosts_.end(), [&](const auto& h) { return h.raw == host.raw; }),
               hosts_.end());
  if (was_oldest) {
    timer_.reset();
    armed_ = check::Duration(-1);
    settle();
  }
}

bool Multi::start(CURL* easy) {
  ++depth_;
  const CURLMcode code = curl_multi_add_handle(multi_, easy);
  --depth_;
  if (code != CURLM_OK) return false;
  // From within a turn the timer curl has just set to now goes on with it; otherwise we do so at once.
  if (is_turning_) {
    settle();
  } else {
    turn(CURL_SOCKET_TIMEOUT, 0);
  }
  return true;
}

void Multi::remove(CURL* easy) {
  ++depth_;
  curl_multi_remove_handle(multi_, easy);
  --depth_;
  settle();
}

int Multi::socket_changed(CURL* easy, curl_socket_t fd, int what, void* raw_self, void* known) {
  auto* self = static_cast<Multi*>(raw_self);
  auto* socket = static_cast<Socket*>(known);
  try {
    if (what == CURL_POLL_REMOVE) {
      curl_multi_assign(self->multi_, fd, nullptr);
      delete socket;
      return 0;
    }
    uint32_t events = 0;
    if ((what & CURL_POLL_IN) != 0) events |= VITAL_READABLE;
    if ((what & CURL_POLL_OUT) != 0) events |= VITAL_WRITABLE;
    if (socket != nullptr) {
      socket->watch.change(events);
      return 0;
    }
    const Transfer* owner = owner_of(easy);
    if (owner == nullptr && self->hosts_.empty()) return -1;
    auto made = std::make_unique<Socket>(owner != nullptr ? owner->host() : self->hosts_.front());
    if (!made->watch.start<&Multi::ready>(self, fd, events)) return -1;
    curl_multi_assign(self->multi_, fd, made.release());
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

int Multi::timer_changed(CURLM*, long timeout_ms, void* raw_self) {
  auto* self = static_cast<Multi*>(raw_self);
  self->wanted_ = timeout_ms < 0 ? check::Duration(-1) : check::monotonic_now() + std::chrono::milliseconds(timeout_ms);
  return 0;  // settle() arms the timer, once for the many changes of one call
}

void Multi::ready(int fd, uint32_t events) {
  int mask = 0;
  if ((events & VITAL_READABLE) != 0) mask |= CURL_CSELECT_IN;
  if ((events & VITAL_WRITABLE) != 0) mask |= CURL_CSELECT_OUT;
  if ((events & VITAL_HANGUP) != 0 && mask == 0) mask |= CURL_CSELECT_ERR;
  turn(fd, mask);
}

void Multi::timed_out() {
  armed_ = check::Duration(-1);
  if (wanted_ >= check::Duration::zero() && check::monotonic_now() >= wanted_) {
    wanted_ = check::Duration(-1);
    turn(CURL_SOCKET_TIMEOUT, 0);
  } else {
    settle();
  }
}

void Multi::turn(curl_socket_t fd, int events) {
  int running = 0;
  is_turning_ = true;
  ++depth_;
  curl_multi_socket_action(multi_, fd, events, &running);
  --depth_;
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer* const owner = owner_of(easy);
    remove(easy);
    if (owner != nullptr) net::guarded(owner, [&] { owner->ended(code); });
  }
  is_turning_ = false;
  settle();
}

// Arms the timer for what curl wants now. A timer that is armed for earlier is left: it finds nothing to do.
void Multi::settle() {
  if (depth_ > 0 || wanted_ < check::Duration::zero() || hosts_.empty()) return;
  if (armed_ >= check::Duration::zero() && armed_ <= wanted_) return;
  if (timer_ == nullptr) timer_ = std::make_unique<net::Timer>(hosts_.front());
  armed_ = wanted_;
  timer_->arm<&Multi::timed_out>(this, wanted_ - check::monotonic_now());
}

void Multi::trouble(const char*) noexcept {}

}  // namespace vital::http
