// vitalctl names: what the agent knows by name, one a line; for shells that complete what somebody types, so it waits a
// second at most.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.hpp"
#include "ctl/ctl.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr std::array<std::string_view, 4> kinds{"checks", "services", "names", "topologies"};
constexpr cmd::Option options[] = {{0, "json", "", "as JSON"}, socket_option};
constexpr cmd::Usage usage{
    "vitalctl names",
    "checks|services|names|topologies [--json]",
    "Prints the names the agent knows, one a line: its checks, its services, both, or the topologies "
    "it watches.\nShells complete with it.",
    "vitalctl names checks",
    options,
    1};

Json ask(const Client& agent, const char* path, const char* list) {
  const Reply reply = agent.ask("GET", path, {}, 1s);
  if (reply.status != 200) throw CtlError(error_of(reply));
  Json out = Json::array();
  const Json said = Json::parse(reply.body);
  for (const Json& entry : said.value(list, Json::array())) out.push_back(entry.at("name"));
  return out;
}

}  // namespace

int names(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const std::string kind = args.operands().empty() ? "names" : args.operands().front();
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    throw CtlError("there are checks, services, names and topologies, not " + one_line(kind, 40));
  }
  const Client agent(socket_path(args));
  Json found = Json::array();
  if (kind == "checks" || kind == "names") found = ask(agent, "/api/v1/checks", "checks");
  if (kind == "services" || kind == "names") {
    for (Json& name : ask(agent, "/api/v1/status", "services")) found.push_back(std::move(name));
  }
  if (kind == "topologies") found = ask(agent, "/api/v1/failovers", "topologies");
  if (args.has("json")) {
    fmt::print("{}\n", Json{{"names", found}}.dump(2));
    return 0;
  }
  for (const Json& name : found) fmt::print("{}\n", one_line(name.get<std::string>(), 128));
  return 0;
}

}  // namespace vital::ctl
