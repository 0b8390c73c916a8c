// See page_writes.hpp.
#include "publish/page_writes.hpp"

#include "base/text.hpp"
#include "publish/json_text.hpp"

namespace vital {
namespace {

// "localhost:9180", "127.0.0.1", "[::1]:80": a name that no foreign name server can have given (DNS rebinding).
bool is_this_host(std::string_view host) {
  const std::size_t end = host.starts_with('[') ? host.find(']') + 1 : host.find(':');
  const std::string_view name = host.substr(0, end);
  return name == "localhost" || name == "[::1]" ||
         (name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_ours(const PageSigns& signs) {
  if (!signs.fetch_site.empty() && signs.fetch_site != "same-origin") return false;
  if (!is_this_host(signs.host)) return false;
  return signs.origin.empty() || signs.origin == "http://" + std::string(signs.host) ||
         signs.origin == "https://" + std::string(signs.host);
}

}  // namespace

PageJudgement judge_page(const PageSigns& signs, std::string_view node) {
  if (signs.origin.empty() && signs.fetch_site.empty()) return {};  // no browser
  if (!is_ours(signs)) return {403, "another page than vitald's own may not write here"};
  if (signs.node == node) return {};
  return {428, "this is node " + one_line(node, 128) +
                   ": say so in X-Vitald-Node, as the page does when its name was typed"};
}

std::string access_document(bool may_write, std::string_view node) {
  JsonText out;
  out.begin_object();
  out.field("may_write", may_write);
  out.field("node", node);
  out.end_object();
  return out.take();
}

}  // namespace vital
