// The names of what crosses the seam; see seam.hpp.
#include "core/failover/seam.hpp"

namespace vital::failover {

std::string_view name(StoreHealth health) {
  switch (health) {
    case StoreHealth::standalone:
      return "standalone";
    case StoreHealth::ok:
      return "ok";
    case StoreHealth::unreachable:
      return "unreachable";
    case StoreHealth::refused:
      return "refused";
  }
  return "refused";
}

std::string_view name(Verb verb) {
  switch (verb) {
    case Verb::perform:
      return "perform";
    case Verb::verify:
      return "verify";
    case Verb::compensate:
      return "compensate";
  }
  return "verify";
}

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::done:
      return "done";
    case Outcome::failed:
      return "failed";
    case Outcome::vetoed:
      return "vetoed";
    case Outcome::timeout:
      return "timeout";
    case Outcome::unverified:
      return "unverified";
    case Outcome::too_late:
      return "too_late";
  }
  return "failed";
}

}  // namespace vital::failover
