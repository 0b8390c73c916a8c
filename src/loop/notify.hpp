// What systemd is told (sd_notify(3)): READY, STATUS, RELOADING, STOPPING, WATCHDOG. Silent and free where nobody
// listens.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"

namespace vital::notify {

void ready(const std::string& status);
void status(const std::string& status);
void reloading();                 // with MONOTONIC_USEC; end it with ready()
void stopping(Duration at_most);  // and asks for that much time to stop in
void alive();                     // WATCHDOG=1: only from the loop that does the work

// How often systemd wants to hear alive(); empty if it does not. Ping at half of it.
std::optional<Duration> watchdog_interval();

}  // namespace vital::notify
