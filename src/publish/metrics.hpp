// /metrics: everything counted, as Prometheus text 0.0.4. Pure functions; the front calls them when it is scraped.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "publish/front.hpp"
#include "publish/tally.hpp"
#include "publish/view.hpp"

namespace vital {

// `view` is null before the first one.
std::string metrics_text(const View* view, const std::map<std::string, Tally::Row, std::less<>>& tally,
                         const FrontCounters& front, Now now, Instant valid_until);

// What ?format=prometheus of a health answer shows: this service (or, when it is empty, all of them) and these checks.
std::string health_metrics_text(const View& view, std::optional<ServiceId> service, const std::vector<CheckId>& checks,
                                Now now);

}  // namespace vital
