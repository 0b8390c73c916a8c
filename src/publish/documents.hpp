// The JSON documents: application/health+json and the API. Pure functions of a view and the time; the front calls them
// when somebody asks. Field names are the contract's: one that has been published keeps its name and meaning.
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "publish/outcome.hpp"
#include "publish/view.hpp"

namespace vital {

// What a health answer is about: the outcome, the checks behind it, and what the request got wrong.
struct HealthScope {
  std::string self;  // "/health/web"
  std::vector<CheckId> checks;
  std::vector<std::string> warnings;  // "there is no check \"x\" to exclude"
};

// draft-inadarei-api-health-check-06. The status stands first; what explains it follows within the first kilobyte.
std::string health_document(const View& view, const Outcome& outcome, const HealthScope& scope);
// The same for who may see only the verdict (and what he wrote wrong himself).
std::string terse_document(const Outcome& outcome, const std::vector<std::string>& warnings);

// `is_stalled`: the view is past its validity, so no service is called healthy.
std::string status_document(const View& view, Now now, Instant valid_until);
std::string outputs_document(const View& view);
std::string overlays_document(const View& view);  // what operators laid on the node and its services
std::string services_document(const View& view, Now now, bool is_stalled);
std::string service_document(const View& view, ServiceId id, Now now, bool is_stalled);
std::string checks_document(const View& view, Now now);
std::string check_document(const View& view, CheckId id, Now now);

}  // namespace vital
