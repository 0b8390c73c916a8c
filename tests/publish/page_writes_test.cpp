// Which writes from a browser are believed.
#include "publish/page_writes.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace vital;

TEST_CASE("a write from a browser counts only from our own page, on this host, with the node's name") {
  struct Row {
    const char* what;
    PageSigns signs;
    int code;
  };
  const Row rows[] = {
      {"vitalctl, curl and scripts are no browsers", {"", "", "vitald", ""}, 0},
      {"our page over a forwarded socket", {"http://127.0.0.1:9180", "same-origin", "127.0.0.1:9180", "web-1"}, 0},
      {"by the name localhost", {"http://localhost:9180", "same-origin", "localhost:9180", "web-1"}, 0},
      {"by IPv6", {"http://[::1]:9180", "same-origin", "[::1]:9180", "web-1"}, 0},
      {"a browser without Sec-Fetch-Site", {"http://127.0.0.1:9180", "", "127.0.0.1:9180", "web-1"}, 0},
      {"our page, another node's name", {"http://127.0.0.1:9180", "same-origin", "127.0.0.1:9180", "web-2"}, 428},
      {"our page, no name: a form", {"http://127.0.0.1:9180", "same-origin", "127.0.0.1:9180", ""}, 428},
      {"another site", {"https://evil.example", "cross-site", "127.0.0.1:9180", "web-1"}, 403},
      {"another site in an old browser", {"https://evil.example", "", "127.0.0.1:9180", "web-1"}, 403},
      {"another port of this host", {"http://127.0.0.1:8080", "same-site", "127.0.0.1:9180", "web-1"}, 403},
      {"a page without an origin", {"null", "", "127.0.0.1:9180", "web-1"}, 403},
      {"a name that somebody's server points here",
       {"http://evil.example:9180", "same-origin", "evil.example:9180", "web-1"},
       403},
      {"a name that begins as ours",
       {"http://127.0.0.1.evil.example", "same-origin", "127.0.0.1.evil.example", "web-1"},
       403},
      {"another name that begins as ours", {"http://localhost.evil", "same-origin", "localhost.evil", "web-1"}, 403},
      {"no host at all", {"http://", "same-origin", "", "web-1"}, 403},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(judge_page(row.signs, "web-1").code == row.code);
  }
}
