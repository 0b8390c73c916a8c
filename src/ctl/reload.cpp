// vitalctl reload: has the agent read its configuration again, and says what that changed or why it was refused.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "ctl/progress.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr cmd::Option options[] = {{0, "json", "", "as JSON"}, socket_option};
constexpr cmd::Usage usage{"vitalctl reload", "[--json]",
                           "Has the agent read its configuration again. It is adopted whole, or refused whole and the "
                           "old one stays: then this\n"
                           "ends with 78 and says every reason.",
                           "vitalctl reload", options};

void say(const char* what, const Json& names) {
  if (!names.is_array() || names.empty()) return;
  std::vector<std::string> list;
  for (const Json& n : names) list.push_back(one_line(n.get<std::string>(), 128));
  fmt::print("  {:<18} {}\n", what, join(list, ", "));
}

}  // namespace

int reload(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Reply reply = [&] {
    const Progress progress("reading the configuration");
    return Client(socket_path(args)).ask("POST", "/api/v1/reload", {}, 60s);
  }();
  const Json said = Json::parse(reply.body, nullptr, false);
  const bool is_refused = reply.status == 422 && said.is_object();
  if (reply.status != 200 && !is_refused) throw CtlError(error_of(reply));
  if (args.has("json")) {
    fmt::print("{}", reply.body);
    return is_refused ? cmd::exit_config : 0;
  }
  if (is_refused) {
    for (const Json& problem : said.at("problems")) {
      fmt::print(stderr, "{}\n", one_line(problem.get<std::string>(), 2048));
    }
    fmt::print(stderr, "vitalctl: {}\n", error_of(reply));
    return cmd::exit_config;
  }
  fmt::print("adopted: {}\n", one_line(said.at("summary").get<std::string>(), 4096));
  say("added", said.at("added"));
  say("removed", said.at("removed"));
  say("changed", said.at("changed"));
  say("kept", said.at("kept"));
  say("services added", said.at("services_added"));
  say("services removed", said.at("services_removed"));
  say("services changed", said.at("services_changed"));
  say("settings changed", said.at("settings"));
  return 0;
}

}  // namespace vital::ctl
