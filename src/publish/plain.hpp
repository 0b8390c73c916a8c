// The forms of a health answer that are lines of text: for people and string matchers, and for Nagios. Pure.
#pragma once

#include <string>
#include <vector>

#include "publish/outcome.hpp"
#include "publish/view.hpp"

namespace vital {

// "fail\n", then a line of why and one for each check: "db fail timeout 5000ms no answer in 5s".
std::string verbose_text(const View& view, const Outcome& outcome, const std::vector<CheckId>& checks,
                         const std::vector<std::string>& warnings);

// One plugin line: "CRITICAL - web: db: fail/timeout | 'db'=5.001s;;;0". The words OK, WARNING, CRITICAL, UNKNOWN are
// those of the exit codes 0 to 3; what is pending or stale is UNKNOWN.
std::string nagios_line(const View& view, const Outcome& outcome, const std::vector<CheckId>& checks);

}  // namespace vital
