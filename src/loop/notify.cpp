// sd_notify messages; see notify.hpp.
#include "loop/notify.hpp"

#include <systemd/sd-daemon.h>

#include <chrono>
#include <cstdint>

#include "base/text.hpp"

namespace vital::notify {

void ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + one_line(status, 256)).c_str()); }
void status(const std::string& status) { sd_notify(0, ("STATUS=" + one_line(status, 256)).c_str()); }
void reloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us)).c_str());
}
void stopping(Duration at_most) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(at_most).count();
  sd_notify(0, ("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(us)).c_str());
}
void alive() { sd_notify(0, "WATCHDOG=1"); }

std::optional<Duration> watchdog_interval() {
  std::uint64_t us = 0;
  if (sd_watchdog_enabled(0, &us) <= 0) return {};
  return std::chrono::microseconds(us);
}

}  // namespace vital::notify
