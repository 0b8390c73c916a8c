// systemd.start, systemd.stop, systemd.restart: one job for one unit of this host, over the system bus; it is done when
// the unit is what the job makes of it. Built once for each, with VITAL_JOB its name.
#include <systemd/sd-bus.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "action.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;

constexpr std::string_view job = VITAL_JOB;

constexpr OptionRow options[] = {
    {"unit", Type::string, nullptr, "the unit's full name", "postgresql.service", VITAL_OPTION_REQUIRED},
    {"min_uptime", Type::duration, "10s",
     "a unit that came up or went down less than this ago is left alone: no restart follows the other at once", "10s",
     0, nullptr, 0, 3600},
    {"bus", Type::string, nullptr, "D-Bus address other than the system bus"},
    VITAL_STEP_ROWS};

struct BusUnref {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  ~BusError() { sd_bus_error_free(&error); }
};
struct Broken {
  Result result;
};

struct Seen {
  std::string load, active, sub, path;
  Duration changed{};  // on CLOCK_MONOTONIC
};

class Job final : public Action {
 public:
  explicit Job(const Options& o)
      : unit_(o.text("unit")), min_uptime_(o.duration("min_uptime")), address_(o.text_or("bus", "")) {
    if (unit_.find('.') == std::string::npos) {
      throw Invalid("unit", "'" + unit_ + "' is no full unit name: write " + unit_ + ".service");
    }
  }

  Result check(const Step&, const Attempt& attempt) override {
    return guarded(attempt, [&](sd_bus* bus) {
      const Seen now = look(bus);
      if (now.load != "loaded") return fail(Cause::config, unit_ + " is " + now.load + ": is the name right?");
      return pass(unit_ + " is " + now.active + " (" + now.sub + ")");
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return guarded(attempt, [&](sd_bus* bus) {
      const Seen now = look(bus);
      if (now.load != "loaded") veto(unit_ + " is " + now.load);
      if (is_as_wanted(now) && job != "restart") return pass(unit_ + " is " + now.active + " already");
      if (now.changed > Duration{} && monotonic_now() - now.changed < min_uptime_) {
        veto(unit_ + " changed less than min_uptime ago");
      }
      step.begin_effect();
      BusError error;
      const std::string method = job == "start" ? "StartUnit" : job == "stop" ? "StopUnit" : "RestartUnit";
      allow_the_rest(bus);
      const int code = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                          "org.freedesktop.systemd1.Manager", method.c_str(), &error.error, nullptr,
                                          "ss", unit_.c_str(), "replace");
      if (code < 0) trouble(error.error.message != nullptr ? error.error.message : std::strerror(-code));
      return poll_until(stop_at_, 50ms, [&] { return judge(look(bus)); });
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return poll_until(attempt.deadline() - 100ms, 100ms,
                      [&] { return guarded(attempt, [&](sd_bus* bus) { return judge(look(bus)); }); });
  }

 private:
  bool is_as_wanted(const Seen& now) const {
    return job == "stop" ? now.active == "inactive" || now.active == "failed" : now.active == "active";
  }
  Result judge(const Seen& now) const {
    const std::string text = unit_ + " is " + now.active + " (" + now.sub + ")";
    return is_as_wanted(now) ? pass(text) : fail(Cause::content, text);
  }

  template <typename Work>
  Result guarded(const Attempt& attempt, Work work) {
    stop_at_ = attempt.deadline() - std::min<Duration>(100ms, attempt.remaining() / 10);
    try {
      const auto bus = connect();
      return work(bus.get());
    } catch (const Broken& broken) {
      return broken.result;
    }
  }

  [[noreturn]] void trouble(const std::string& what) const { throw Broken{fail(Cause::agent, unit_ + ": " + what)}; }

  std::unique_ptr<sd_bus, BusUnref> connect() const {
    sd_bus* raw = nullptr;
    int code = 0;
    if (address_.empty()) {
      code = sd_bus_open_system(&raw);
    } else {
      code = sd_bus_new(&raw);
      if (code >= 0) code = sd_bus_set_address(raw, address_.c_str());
      if (code >= 0) code = sd_bus_set_bus_client(raw, 1);
      if (code >= 0) code = sd_bus_start(raw);
    }
    std::unique_ptr<sd_bus, BusUnref> bus(raw);
    if (code < 0) trouble(std::string("the bus cannot be reached: ") + std::strerror(-code));
    while (sd_bus_is_ready(bus.get()) == 0) {
      const Duration left = stop_at_ - monotonic_now();
      if (left <= Duration::zero()) trouble("the bus does not answer");
      code = sd_bus_process(bus.get(), nullptr);
      if (code == 0) code = sd_bus_wait(bus.get(), static_cast<uint64_t>(left / 1us));
      if (code < 0 && code != -EINTR) trouble(std::string("the bus cannot be reached: ") + std::strerror(-code));
    }
    return bus;
  }

  void allow_the_rest(sd_bus* bus) const {
    sd_bus_set_method_call_timeout(bus,
                                   static_cast<uint64_t>(std::max<Duration>(stop_at_ - monotonic_now(), 1ms) / 1us));
  }

  std::string text(sd_bus* bus, const std::string& path, const char* property) const {
    BusError error;
    char* value = nullptr;
    allow_the_rest(bus);
    const int code = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path.c_str(),
                                                "org.freedesktop.systemd1.Unit", property, &error.error, &value);
    if (code < 0) trouble(std::string("reading ") + property + ": " + std::strerror(-code));
    std::string out(value);
    free(value);
    return out;
  }

  Seen look(sd_bus* bus) const {
    BusError error;
    sd_bus_message* raw = nullptr;
    allow_the_rest(bus);
    const int code =
        sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                           "org.freedesktop.systemd1.Manager", "LoadUnit", &error.error, &raw, "s", unit_.c_str());
    const std::unique_ptr<sd_bus_message, sd_bus_message* (*)(sd_bus_message*)> reply(raw, &sd_bus_message_unref);
    const char* object = nullptr;
    if (code < 0) trouble(error.error.message != nullptr ? error.error.message : std::strerror(-code));
    if (sd_bus_message_read(reply.get(), "o", &object) < 0) trouble("an answer that is none");
    Seen out;
    out.path = object;
    out.load = text(bus, out.path, "LoadState");
    out.active = text(bus, out.path, "ActiveState");
    out.sub = text(bus, out.path, "SubState");
    uint64_t changed = 0;
    BusError ignored;
    allow_the_rest(bus);
    sd_bus_get_property_trivial(bus, "org.freedesktop.systemd1", out.path.c_str(), "org.freedesktop.systemd1.Unit",
                                "StateChangeTimestampMonotonic", &ignored.error, 't', &changed);
    out.changed = std::chrono::microseconds(changed);
    return out;
  }

  std::string unit_;
  Duration min_uptime_;
  std::string address_;
  Duration stop_at_{};
};

}  // namespace

VITAL_ACTION(Job, "systemd." VITAL_JOB, "1.0", "one job for a systemd unit of this host: " VITAL_JOB, options)
