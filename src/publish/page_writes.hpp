// Who may write from a browser. The admin socket may be forwarded (`ssh -L 9180:/run/vitald/admin.sock`), and then any
// page the operator's browser has open can send requests to it. So what comes from a browser is believed only if it
// comes from our own page, and says which node is meant. Pure.
#pragma once

#include <string>
#include <string_view>

#include "publish/request_framer.hpp"

namespace vital {

// What a request shows of the page that sent it. Browsers send at least one of the first two with every write.
struct PageSigns {
  std::string_view origin;
  std::string_view fetch_site;  // Sec-Fetch-Site
  std::string_view host;
  std::string_view node;  // X-Vitald-Node: the name the operator typed
};
inline PageSigns signs_of(const Frame& frame) { return {frame.origin, frame.fetch_site, frame.host, frame.node}; }

struct PageJudgement {
  int code = 0;  // 0 = let it pass
  std::string why;
};
PageJudgement judge_page(const PageSigns& signs, std::string_view node);

// {"may_write", "node"}: whether a page that is read here may show what writes.
std::string access_document(bool may_write, std::string_view node);

}  // namespace vital
