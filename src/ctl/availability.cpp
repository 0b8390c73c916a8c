// vitalctl availability: how much of the last hour, day, week and month each check and service was up.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 4> windows{"1h", "1d", "7d", "30d"};
constexpr cmd::Option options[] = {{0, "json", "", "as the API shows it"}, socket_option};
constexpr cmd::Usage usage{
    "vitalctl availability",
    "[NAME] [--json]",
    "Shows how much of the last hour, day, week and month each check and service (or NAME alone) was up. Drains and\n"
    "maintenance are planned and stand apart; the time nobody looked counts neither way.",
    "vitalctl availability web",
    options,
    1};

// 99.987%, never rounded up to 100.
std::string percent(double share) {
  if (share >= 1) return "100%";
  return fmt::format("{:.3f}%", static_cast<double>(static_cast<long long>(share * 100000)) / 1000);
}

Ink ink_of_share(double share) { return share >= 0.999 ? Ink::green : share >= 0.99 ? Ink::yellow : Ink::red; }

std::string friendly(const Json& ms) { return ms.get<double>() > 0 ? friendly_ms(ms.get<double>()) : "-"; }

void add_rows(Table& table, const Json& subjects, const char* kind, const std::string& only) {
  for (const Json& s : subjects) {
    const std::string name = s.at("name");
    if (!only.empty() && name != only) continue;
    std::vector<Cell> row{{fmt::format("{} {}", kind, one_line(name, 128)), Ink::bold}};
    for (const char* w : windows) {
      const Json& window = s.at("windows").at(w);
      const bool is_known = window.at("up_ms").get<double>() + window.at("down_ms").get<double>() > 0;
      const double share = window.at("availability");
      row.push_back(is_known ? Cell{percent(share), ink_of_share(share)} : Cell{"-", Ink::dim});
    }
    const Json& month = s.at("windows").at("30d");
    row.push_back({friendly(month.at("down_ms"))});
    row.push_back({friendly(month.at("planned_ms"))});
    row.push_back({friendly(month.at("unknown_ms"))});
    table.add(std::move(row));
  }
}

}  // namespace

int availability(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const Client agent(socket_path(args));
  const Json seen = Json::parse(agent.get("/api/v1/availability"));
  if (args.has("json")) {
    fmt::print("{}\n", seen.dump(2));
    return 0;
  }
  const std::string only = args.operands().empty() ? "" : args.operands().front();
  Table table({"", "1H", "1D", "7D", "30D", "DOWN 30D", "PLANNED", "UNKNOWN"});
  add_rows(table, seen.at("services"), "service", only);
  add_rows(table, seen.at("checks"), "check", only);
  if (table.is_empty()) throw CtlError("there is no check or service " + one_line(only, 128));
  fmt::print("{}", table.text(cmd::Paint(), terminal_width()));
  return 0;
}

}  // namespace vital::ctl
