// The host's loop services as objects that unregister in their destructors: Watch, Timer, Lookup. A callback is a
// member function of its owner and may destroy the object it came from, or the owner itself. What it throws goes to
// the owner's trouble(text), since nothing may be thrown across the ABI. All of it [loop].
//
//   class Probe { Timer deadline_; void late(); void trouble(const char*) noexcept; ... };
//   deadline_.arm<&Probe::late>(this, 2s);
#pragma once

#include <cstdint>
#include <string>
#include <vector>
#include <vitald/check.hpp>

namespace vital::net {

template <typename Owner, typename Call>
void guarded(Owner* owner, Call call) noexcept {
  // After call() the owner may be gone; it is touched again only if the call was cut short by what it threw.
  try {
    call();
  } catch (const std::exception& e) {
    owner->trouble(e.what());
  } catch (...) {
    owner->trouble("something unknown was thrown");
  }
}

// Fires once each time it is armed; arming again replaces.
class Timer {
 public:
  explicit Timer(const check::Host& host) : host_(host) {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  template <auto Method, typename Owner>
  void arm(Owner* owner, check::Duration delay) {
    disarm();
    owner_ = owner;
    const auto delay_ns = static_cast<uint64_t>(delay.count() > 0 ? delay.count() : 0);
    raw_ = host_.loop->timer(
        host_.raw, delay_ns,
        [](void* user) {
          auto* self = static_cast<Timer*>(user);
          self->raw_ = nullptr;
          auto* to = static_cast<Owner*>(self->owner_);
          guarded(to, [to] { (to->*Method)(); });
        },
        this);
  }
  void disarm() {
    if (raw_ != nullptr) host_.loop->disarm(raw_);
    raw_ = nullptr;
  }
  bool is_armed() const { return raw_ != nullptr; }

 private:
  const check::Host host_;
  vital_timer* raw_ = nullptr;
  void* owner_ = nullptr;
};

// Watches a descriptor it does not own; stop() or destroy it before the descriptor is closed.
class Watch {
 public:
  explicit Watch(const check::Host& host) : host_(host) {}
  ~Watch() { stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // False if the host cannot watch it. Method(fd, events).
  template <auto Method, typename Owner>
  bool start(Owner* owner, int fd, uint32_t events) {
    stop();
    owner_ = owner;
    events_ = events;
    raw_ = host_.loop->watch(
        host_.raw, fd, events,
        [](void* user, int ready_fd, uint32_t ready_events) {
          auto* to = static_cast<Owner*>(static_cast<Watch*>(user)->owner_);
          guarded(to, [=] { (to->*Method)(ready_fd, ready_events); });
        },
        this);
    return raw_ != nullptr;
  }
  void change(uint32_t events) {
    if (events == events_ || raw_ == nullptr) return;
    events_ = events;
    host_.loop->change(raw_, events);
  }
  void stop() {
    if (raw_ != nullptr) host_.loop->unwatch(raw_);
    raw_ = nullptr;
  }

 private:
  const check::Host host_;
  vital_watch* raw_ = nullptr;
  void* owner_ = nullptr;
  uint32_t events_ = 0;
};

// What a name resolved to.
struct Addresses {
  uint32_t status = VITAL_RESOLVE_UNAVAILABLE;
  std::vector<std::string> list;
  std::string text;
};

// One question to the host's resolver.
class Lookup {
 public:
  explicit Lookup(const check::Host& host) : host_(host) {}
  ~Lookup() { withdraw(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // Method(Addresses) is called once, later. False if the host cannot look it up.
  template <auto Method, typename Owner>
  bool start(Owner* owner, const std::string& name, uint32_t family, check::Duration timeout) {
    withdraw();
    owner_ = owner;
    raw_ = host_.resolve->resolve(
        host_.raw, name.c_str(), family, static_cast<uint64_t>(timeout.count()),
        [](void* user, const vital_addresses* answer) {
          auto* self = static_cast<Lookup*>(user);
          self->raw_ = nullptr;
          auto* to = static_cast<Owner*>(self->owner_);
          guarded(to, [&] {
            Addresses found;
            found.status = answer->status;
            found.list.assign(answer->addresses, answer->addresses + answer->count);
            found.text = answer->text != nullptr ? answer->text : "";
            (to->*Method)(found);
          });
        },
        this);
    return raw_ != nullptr;
  }
  void withdraw() {
    if (raw_ != nullptr) host_.resolve->withdraw(raw_);
    raw_ = nullptr;
  }

 private:
  const check::Host host_;
  vital_query* raw_ = nullptr;
  void* owner_ = nullptr;
};

}  // namespace vital::net
