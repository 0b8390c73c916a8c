// Multi: libcurl's multi handle on the worker's loop. One serves all http checks of a worker: a multi handle costs two
// descriptors and some 40 KiB. It borrows the loop services of the instances attached to it: a socket is watched on
// behalf of the instance whose transfer it belongs to, the one timer on behalf of the oldest. [loop]
#pragma once

#include <curl/curl.h>

#include <map>
#include <memory>
#include <vector>
#include <vitald/check.hpp>

#include "../net/loop.hpp"

namespace vital::http {

// One transfer's owner. Set as CURLOPT_PRIVATE of its easy handle.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // The transfer has ended and its handle has been removed. May destroy itself. [loop]
  virtual void ended(CURLcode code) = 0;
  virtual void trouble(const char* what) noexcept = 0;
  virtual const check::Host& host() const = 0;
};

class Multi {
 public:
  // The one of this worker; it ends with the last who holds it. Null if libcurl cannot start.
  static std::shared_ptr<Multi> shared();
  Multi();
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  void attach(const check::Host& host);
  // Call when no transfer of this instance is left. Connections kept open for it (`owner`) are ended.
  void detach(const check::Host& host, const void* owner);

  // Begins a transfer; ended() may be called before this returns. False if libcurl refuses.
  bool start(CURL* easy);
  // Takes an unfinished transfer out; its sockets are closed before this returns.
  void remove(CURL* easy);

  // To be called by curl when it makes and closes sockets on behalf of `owner`, who keeps connections open.
  void opened(curl_socket_t fd, const void* owner) { kept_[fd] = owner; }
  void closed(curl_socket_t fd) { kept_.erase(fd); }

  // How long the next transfer's handle should say that addresses are remembered, in seconds; negative: for ever. With
  // a limit libcurl looks through all it remembers when a transfer ends; once in a while is enough to forget those of
  // checks that are gone.
  long remembers_for() { return ++transfers_ % 1024 == 0 ? 60 : -1; }

  void trouble(const char* what) noexcept;  // thrown in a callback of ours

 private:
  struct Socket;
  static int socket_changed(CURL* easy, curl_socket_t fd, int what, void* self, void* known);
  static int timer_changed(CURLM* multi, long timeout_ms, void* self);
  void ready(int fd, uint32_t events);
  void timed_out();
  void turn(curl_socket_t fd, int events);
  void settle();

  CURLM* multi_ = nullptr;
  std::vector<check::Host> hosts_;  // attached, oldest first
  std::unique_ptr<net::Timer> timer_;
  check::Duration wanted_{-1};  // when curl wants to be called, on the monotonic clock; negative: not at all
  check::Duration armed_{-1};   // when timer_ fires
  int depth_ = 0;               // of calls into curl
  bool is_turning_ = false;
  unsigned transfers_ = 0;
  std::map<curl_socket_t, const void*> kept_;
};

}  // namespace vital::http
