// The badge at /badge.svg: a name and what is told of it, as a small picture for dashboards and wikis. The word stands
// in it, so that its colour is never the only sign. Pure.
#pragma once

#include <string>
#include <string_view>

#include "publish/view.hpp"

namespace vital {

// pass, warn, fail, pending, stale, drain or maintenance.
std::string_view badge_word(const Answer& answer);

// `word` may be "stalled" or "starting", too.
std::string badge_svg(std::string_view label, std::string_view word);

}  // namespace vital
