// Consul's TTL check: said again at every look, since Consul itself makes it critical when nobody does; and read back.
// See http_ports.hpp.
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"
#include "outputs/http_ports.hpp"
#include "outputs/http_steps.hpp"

namespace vital {
namespace {

struct Words {
  std::string_view verb;    // of the path
  std::string_view status;  // as Consul shows it
};

Words words_of(Told told) {
  switch (told) {
    case Told::pass:
      return {"pass", "passing"};
    case Told::warn:
      return {"warn", "warning"};
    case Told::fail:
    case Told::drain:
    case Told::maintenance:
      return {"fail", "critical"};
  }
  return {"fail", "critical"};
}

class ConsulPort final : public HttpSteps {
 public:
  ConsulPort(Loop& loop, std::string helper, const OutputSpec& spec, ConsulOutput to)
      : HttpSteps(loop, std::move(helper), to.http, spec.timeout), to_(std::move(to)) {
    hide(to_.token);
  }

  void sync(const Wanted& wanted, Done done) override {
    begin(std::move(done));
    const Words words = words_of(wanted.word.told);
    const std::string note(wanted.word.reason.empty() ? name(wanted.word.told) : wanted.word.reason);
    std::vector<std::string> headers;
    if (!to_.token.empty()) headers.push_back("X-Consul-Token: " + to_.token);
    const HttpRequest look{"GET", "/v1/agent/checks?filter=" + url_piece("CheckID == \"" + to_.check_id + "\""),
                           headers, ""};
    const HttpRequest say{"PUT",
                          "/v1/agent/check/" + std::string(words.verb) + "/" + url_piece(to_.check_id) +
                              "?note=" + url_piece(one_line(note, 200)),
                          headers, ""};
    call({look, say, look},
         [this, status = std::string(words.status)](const std::vector<HttpReply>& replies, const std::string& trouble) {
           if (!trouble.empty()) return fail(trouble);
           const auto before = status_in(replies[0].body), after = status_in(replies[2].body);
           if (after != status)
             return fail("Consul holds " + after.value_or("no such check") + " after it was told " + status);
           finish({before == status ? Synced::How::kept : Synced::How::written, {}, before.value_or("nothing"), {}});
         });
  }

 private:
  std::optional<std::string> status_in(const std::string& body) const {
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object() || !json.contains(to_.check_id) || !json[to_.check_id].is_object()) return {};
    return one_line(json[to_.check_id].value("Status", std::string()), 40);
  }

  ConsulOutput to_;
};

}  // namespace

std::unique_ptr<Port> make_consul_port(Loop& loop, const std::string& helper, const OutputSpec& spec,
                                       const ConsulOutput& to) {
  return std::make_unique<ConsulPort>(loop, helper, spec, to);
}

}  // namespace vital
