// The table of consumers and their codes; see code_map.hpp.
#include "publish/code_map.hpp"

#include <array>

namespace vital {
namespace {

constexpr std::array maps{
    CodeMap{"consul", 429, 503, 503, "429 is Consul's warning, any other code but 2xx is critical"},
    CodeMap{"haproxy-404", 200, 503, 404, "with http-check disable-on-404 a 404 drains and keeps sessions"},
    CodeMap{"nagios", 429, 503, 503, "check_http calls 4xx a warning and 5xx critical"},
    CodeMap{"gcp", 200, 503, 503, "Google Cloud takes 200 for healthy and nothing else"},
    CodeMap{"aws", 200, 503, 503, "the default matcher of ALB is 200; a Classic ELB knows no other"},
    CodeMap{"azure", 200, 503, 503, "200 to 399 are healthy"},
    CodeMap{"envoy", 200, 503, 503, "anything but 200 is final; a warning is told by x-envoy-degraded"},
    CodeMap{"kubernetes", 200, 503, 503, "200 to 399 are healthy"},
    CodeMap{"keepalived", 200, 503, 503, "200 to 299 are healthy"},
    CodeMap{"varnish", 200, 503, 503, "exactly .expected_response, which is 200"},
};

}  // namespace

int CodeMap::code(Verdict status, OverlayKind overlay) const {
  if (overlay != OverlayKind::none) return drain;
  switch (status) {
    case Verdict::pass:
      return 200;
    case Verdict::warn:
      return warn;
    case Verdict::fail:
    case Verdict::unknown:
      return fail;
  }
  return fail;
}

const CodeMap* code_map_of(std::string_view consumer) {
  for (const CodeMap& map : maps) {
    if (map.consumer == consumer) return &map;
  }
  return nullptr;
}

std::string code_map_names() {
  std::string out;
  for (const CodeMap& map : maps) {
    if (!out.empty()) out += ", ";
    out += map.consumer;
  }
  return out;
}

}  // namespace vital
