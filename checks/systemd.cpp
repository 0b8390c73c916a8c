// systemd: the state of one unit, asked over the system bus with a deadline: active and sub-state, result of the last
// run, restarts within a window. A blocking module.
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <vitald/check.hpp>

namespace {

using namespace vital::check;
using namespace std::chrono_literals;

constexpr OptionRow options[] = {
    {"unit", Type::string, nullptr, "the unit's full name", "nginx.service", VITAL_OPTION_REQUIRED},
    {"max_restarts", Type::integer, nullptr, "more automatic restarts than this within restart_window is warn", "3", 0,
     nullptr, 0, 1000},
    {"restart_window", Type::duration, "10m", "the window of max_restarts", "10m", 0, nullptr, 10, 86400},
    {"allow_inactive", Type::boolean, "false",
     "an inactive unit whose last run succeeded passes (timers, oneshot services)"},
    {"bus", Type::string, nullptr, "D-Bus address other than the system bus", "unix:path=/run/dbus/system_bus_socket"},
};

struct BusUnref {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct MessageUnref {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
struct BusError {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  ~BusError() { sd_bus_error_free(&error); }
};

// Thrown inside a probe: the answer is known and it is this.
struct Answer {
  Result result;
};

class Systemd final : public Blocking {
 public:
  explicit Systemd(const Options& o)
      : unit_(o.text("unit")),
        max_restarts_(o.integer_or("max_restarts", -1)),
        window_(o.duration("restart_window")),
        allows_inactive_(o.boolean("allow_inactive")),
        address_(o.text_or("bus", "")) {
    if (unit_.find('.') == std::string::npos) {
      throw Invalid("unit", "'" + unit_ + "' is no full unit name: write " + unit_ + ".service");
    }
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    try {
      stop_at_ = attempt.deadline() - std::min<Duration>(50ms, attempt.remaining() / 10);
      const auto bus = connect();
      watch.lap(Phase::connect);
      Result result = ask(bus.get());
      watch.lap(Phase::exchange);
      return watch.into(result);
    } catch (Answer& answer) {
      return watch.into(answer.result);
    }
  }

 private:
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
    if (code < 0) trouble("the bus cannot be reached", -code);
    // Until it has greeted us: the library itself would wait for that for 90 s.
    while (sd_bus_is_ready(bus.get()) == 0) {
      const Duration left = stop_at_ - monotonic_now();
      if (left <= Duration::zero()) trouble("the bus does not answer", ETIMEDOUT);
      code = sd_bus_process(bus.get(), nullptr);
      if (code == 0) code = sd_bus_wait(bus.get(), static_cast<uint64_t>(left / 1us));
      if (code < 0 && code != -EINTR) trouble("the bus cannot be reached", -code);
    }
    return bus;
  }

  // All calls of a probe share its time: a bus that hangs at the last of them is as much our trouble as at the first.
  void allow_the_rest(sd_bus* bus) const {
    const auto patience = std::max<Duration>(stop_at_ - monotonic_now(), 1ms);
    sd_bus_set_method_call_timeout(bus, static_cast<uint64_t>(patience / 1us));
  }

  // The bus is our way to the answer: its trouble is ours, not the unit's.
  [[noreturn]] void trouble(const std::string& what, int code) const {
    throw Answer{unknown(Cause::agent, unit_ + ": " + what + ": " + std::strerror(code))};
  }

  std::string text(sd_bus* bus, const std::string& path, const char* interface, const char* property) const {
    BusError error;
    char* value = nullptr;
    allow_the_rest(bus);
    const int code = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path.c_str(), interface, property,
                                                &error.error, &value);
    if (code < 0) trouble(std::string("reading ") + property, -code);
    std::string out(value);
    free(value);
    return out;
  }

  Result ask(sd_bus* bus) {
    BusError error;
    sd_bus_message* raw = nullptr;
    allow_the_rest(bus);
    const int code =
        sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                           "org.freedesktop.systemd1.Manager", "LoadUnit", &error.error, &raw, "s", unit_.c_str());
    const std::unique_ptr<sd_bus_message, MessageUnref> reply(raw);
    if (code < 0) trouble(error.error.message != nullptr ? error.error.message : "asking for the unit", -code);
    const char* object = nullptr;
    if (sd_bus_message_read(reply.get(), "o", &object) < 0) trouble("reading the answer", EBADMSG);
    const std::string path(object);

    constexpr const char* of_unit = "org.freedesktop.systemd1.Unit";
    const std::string load = text(bus, path, of_unit, "LoadState");
    if (load != "loaded")
      return unknown(Cause::config, unit_ + " is " + load + ": is the name right?").fact("load", load);
    const std::string active = text(bus, path, of_unit, "ActiveState");
    const std::string sub = text(bus, path, of_unit, "SubState");
    std::string result = "success";
    uint32_t restarts = 0;
    if (unit_.size() > 8 && unit_.compare(unit_.size() - 8, 8, ".service") == 0) {
      constexpr const char* of_service = "org.freedesktop.systemd1.Service";
      result = text(bus, path, of_service, "Result");
      BusError ignored;
      allow_the_rest(bus);
      sd_bus_get_property_trivial(bus, "org.freedesktop.systemd1", path.c_str(), of_service, "NRestarts",
                                  &ignored.error, 'u', &restarts);
    }
    Result answer = judge(active, sub, result, recent_restarts(restarts));
    return answer.fact("active", active).fact("sub", sub).fact("result", result).measure("restarts", restarts);
  }

  // How many of the restarts systemd counts fell into the window, as far as we have watched.
  long long recent_restarts(uint32_t total) {
    const Duration now = monotonic_now();
    if (!seen_.empty() && total < seen_.back().second) seen_.clear();  // the counter was reset
    seen_.emplace_back(now, total);
    while (seen_.size() > 1 && (seen_.front().first < now - window_ || seen_.size() > 4096)) seen_.pop_front();
    return static_cast<long long>(total) - seen_.front().second;
  }

  Result judge(const std::string& active, const std::string& sub, const std::string& result, long long restarts) const {
    const std::string state = unit_ + " is " + active + " (" + sub + ")";
    if (active == "active" || active == "reloading") {
      if (max_restarts_ >= 0 && restarts > max_restarts_) {
        return warn(Cause::content, state + ", restarted " + std::to_string(restarts) + " times lately");
      }
      return pass(state);
    }
    if (active == "inactive" && allows_inactive_ && result == "success") return pass(state);
    // On its way up: not yet there, and not known to be broken.
    if (active == "activating" && sub != "auto-restart") return warn(Cause::content, state);
    return fail(Cause::content, state + (result == "success" ? "" : ", result " + result));
  }

  std::string unit_;
  long long max_restarts_;
  Duration window_;
  bool allows_inactive_;
  std::string address_;
  Duration stop_at_{};  // of the probe that runs
  std::deque<std::pair<Duration, uint32_t>> seen_;
};

}  // namespace

VITAL_BLOCKING_MODULE(Systemd, "systemd", "1.0", "the state of one systemd unit", options)
