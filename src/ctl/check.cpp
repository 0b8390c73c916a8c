// vitalctl check: has the agent probe one check now, and waits for the result. The check's own retries are made, and
// the result counts as any other does.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cmd/json_text.hpp"
#include "ctl/ctl.hpp"
#include "ctl/progress.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr cmd::Option options[] = {{0, "json", "", "as the API shows it"}, socket_option};
constexpr cmd::Usage usage{
    "vitalctl check",
    "NAME [--json]",
    "Has the agent probe one check now, and waits for the result. Ends with its verdict: 0 pass, 1 warn, 2 fail,\n"
    "3 unknown.",
    "vitalctl check db",
    options,
    1,
    exit_unknown};

}  // namespace

int check(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) throw CtlError("which check? vitalctl check --help shows how");
  const Client agent(socket_path(args));
  const Reply reply = [&] {
    const Progress progress("probing " + one_line(args.operands().front(), 64));
    return agent.ask("POST", "/api/v1/checks/" + encode(args.operands().front()) + "/run", {}, 65s);
  }();
  if (reply.status != 200) throw CtlError(error_of(reply));
  const Json seen = Json::parse(reply.body);
  const std::string verdict = cmd::text_at(seen, "verdict");
  if (args.has("json")) {
    fmt::print("{}\n", seen.dump(2));
    return code_of(verdict);
  }
  const cmd::Paint paint;
  const std::string cause = cmd::text_at(seen, "cause");
  const std::string state = cmd::text_at(seen, "state");
  fmt::print("{} ({}): {}{} in {}{}\n", paint.bold(cmd::text_at(seen, "name")), cmd::text_at(seen, "type"),
             painted(paint, ink_of(verdict), verdict), cause.empty() || cause == "none" ? "" : "/" + cause,
             seen.at("duration_ms").is_number() ? friendly_ms(seen.at("duration_ms").get<double>()) : "-",
             state == verdict ? "" : "; the check's state is " + state);
  if (const std::string output = cmd::text_at(seen, "output"); !output.empty()) fmt::print("  {}\n", output);
  for (const auto& [phase, took] : seen.at("phases").items()) {
    fmt::print("  {:<12} {:>10}\n", phase, friendly_ms(took.get<double>()));
  }
  return code_of(verdict);
}

}  // namespace vital::ctl
