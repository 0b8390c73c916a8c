// UnitBus: one unit of systemd, asked over D-Bus. All calls share the time until one moment: a bus that hangs at the
// last of them is as much our trouble as at the first. What goes wrong is thrown as BusTrouble, and is never the unit's
// own: the bus is only the way to it. See org.freedesktop.systemd1(5). [worker]
#pragma once

#include <systemd/sd-bus.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vitald/check.hpp>

namespace vital::check {

struct BusTrouble {
  std::string text;  // "nginx.service: the bus does not answer: Connection timed out"
};

class UnitBus {
 public:
  static constexpr const char* of_unit = "org.freedesktop.systemd1.Unit";
  static constexpr const char* of_service = "org.freedesktop.systemd1.Service";

  // Connects, to the system bus if `address` is empty. `until` is on CLOCK_MONOTONIC.
  UnitBus(std::string unit, const std::string& address, Duration until) : unit_(std::move(unit)), until_(until) {
    sd_bus* raw = nullptr;
    int code = 0;
    if (address.empty()) {
      code = sd_bus_open_system(&raw);
    } else {
      code = sd_bus_new(&raw);
      if (code >= 0) code = sd_bus_set_address(raw, address.c_str());
      if (code >= 0) code = sd_bus_set_bus_client(raw, 1);
      if (code >= 0) code = sd_bus_start(raw);
    }
    bus_.reset(raw);
    if (code < 0) trouble("the bus cannot be reached", -code);
    // Until it has greeted us: the library itself would wait for that for 90 s.
    while (sd_bus_is_ready(bus_.get()) == 0) {
      const Duration left = until_ - monotonic_now();
      if (left <= Duration::zero()) trouble("the bus does not answer", ETIMEDOUT);
      code = sd_bus_process(bus_.get(), nullptr);
      if (code == 0) code = sd_bus_wait(bus_.get(), in_microseconds(left));
      if (code < 0 && code != -EINTR) trouble("the bus cannot be reached", -code);
    }
  }

  // The unit's object. Loads it, as `systemctl show` does.
  const std::string& path() {
    if (!path_.empty()) return path_;
    const Reply reply = call("LoadUnit", "s", unit_.c_str());
    const char* object = nullptr;
    if (sd_bus_message_read(reply.get(), "o", &object) < 0) trouble("reading the answer", EBADMSG);
    return path_ = object;
  }

  // "StartUnit", "StopUnit", "RestartUnit": queues the job, and does not wait for its end.
  void enqueue(const char* method) { call(method, "ss", unit_.c_str(), "replace"); }

  std::string text(const char* interface, const char* property) {
    Error error;
    char* value = nullptr;
    const std::string& object = path();
    allow_the_rest();
    const int code =
        sd_bus_get_property_string(bus_.get(), service, object.c_str(), interface, property, &error.error, &value);
    const std::unique_ptr<char, void (*)(void*)> own(value, &std::free);
    if (code < 0) trouble(std::string("reading ") + property, -code);
    return value;
  }

  // A number that is only told if it is known: `type` is D-Bus's letter for Number.
  template <typename Number>
  Number number_or(Number otherwise, char type, const char* interface, const char* property) {
    Error ignored;
    const std::string& object = path();
    allow_the_rest();
    Number out = otherwise;
    const int code = sd_bus_get_property_trivial(bus_.get(), service, object.c_str(), interface, property,
                                                 &ignored.error, type, &out);
    return code < 0 ? otherwise : out;
  }

 private:
  struct BusUnref {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  };
  struct MessageUnref {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
  };
  struct Error {
    sd_bus_error error{};
    ~Error() { sd_bus_error_free(&error); }
  };
  using Reply = std::unique_ptr<sd_bus_message, MessageUnref>;

  static constexpr const char* service = "org.freedesktop.systemd1";

  static std::uint64_t in_microseconds(Duration time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  }

  void allow_the_rest() const {
    const auto patience = std::max<Duration>(until_ - monotonic_now(), std::chrono::milliseconds(1));
    sd_bus_set_method_call_timeout(bus_.get(), in_microseconds(patience));
  }

  template <typename... Texts>
  Reply call(const char* method, const char* types, Texts... texts) const {
    Error error;
    sd_bus_message* raw = nullptr;
    allow_the_rest();
    const int code =
        sd_bus_call_method(bus_.get(), service, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", method,
                           &error.error, &raw, types, texts...);
    Reply reply(raw);
    if (code < 0) trouble(error.error.message != nullptr ? error.error.message : method, -code);
    return reply;
  }

  [[noreturn]] void trouble(const std::string& what, int code) const {
    throw BusTrouble{unit_ + ": " + what + ": " + std::strerror(code)};
  }

  std::string unit_;
  Duration until_;
  std::unique_ptr<sd_bus, BusUnref> bus_;
  std::string path_;
};

}  // namespace vital::check
