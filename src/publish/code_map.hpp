// CodeMap: which status code a consumer with a reading of its own understands as what, chosen with ?as=NAME. Without
// one the codes of the service (http_codes) hold. Constant; pure.
//
//   const CodeMap* map = code_map_of("consul");      // null for a name nobody knows
//   map->code(Verdict::warn, OverlayKind::none);     // 429, which Consul calls a warning
#pragma once

#include <string>
#include <string_view>

#include "core/snapshot.hpp"

namespace vital {

struct CodeMap {
  std::string_view consumer;
  int warn;
  int fail;
  int drain;  // and maintenance
  std::string_view why;

  int code(Verdict status, OverlayKind overlay) const;
};

const CodeMap* code_map_of(std::string_view consumer);
std::string code_map_names();  // "consul, haproxy-404, ..."

}  // namespace vital
