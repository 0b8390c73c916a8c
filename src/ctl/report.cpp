// vitalctl report: tells the agent how something went that it does not probe itself: the last line of a cron job, a
// deployment, anything that can run a command. Silence is then what the check listens for.
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "ctl/ctl.hpp"

namespace vital::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr cmd::Option options[] = {
    {0, "measures", "LIST", "numbers to keep with it, as in 'size=42B files=3 took=12.5s'"},
    {0, "json", "", "as JSON"},
    socket_option,
};
constexpr cmd::Usage usage{
    "vitalctl report",
    "NAME [pass|warn|fail|unknown] [TEXT]",
    "Reports the result of a heartbeat check; without a verdict, pass. Ends with 0 if the agent took it.",
    "pg_dump app > /backup/app && vitalctl report backup pass 'dumped' || vitalctl report backup fail 'pg_dump failed'",
    options,
    3};

// "size=42B files=3" to {"size": {"value": 42, "unit": "B"}, ...}.
Json measures_of(const std::string& list) {
  Json out = Json::object();
  for (const std::string_view word : split(list, ' ')) {
    if (trim(word).empty()) continue;
    const std::string item(trim(word));
    const auto equals = item.find('=');
    const char* from = equals == std::string::npos ? nullptr : item.c_str() + equals + 1;
    char* end = nullptr;
    const double value = from != nullptr ? std::strtod(from, &end) : 0;
    if (equals == 0 || from == nullptr || end == from) {
      throw CtlError("--measures '" + one_line(item, 80) + "': write NAME=NUMBER, with a unit if it has one");
    }
    out[item.substr(0, equals)] = {{"value", value}, {"unit", end}};
  }
  return out;
}

}  // namespace

int report(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  const auto& words = args.operands();
  if (words.empty()) throw CtlError("which check? vitalctl report --help shows how");
  Json body = Json::object();
  if (words.size() > 1) body["verdict"] = words[1];
  if (words.size() > 2) body["text"] = words[2];
  if (args.has("measures")) body["measures"] = measures_of(args.value("measures"));
  const Reply reply = Client(socket_path(args))
                          .ask("POST", "/api/v1/checks/" + encode(words.front()) + "/result",
                               body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  if (reply.status != 200) throw CtlError(error_of(reply));
  if (args.has("json")) {
    fmt::print("{}", reply.body);
  } else {
    const Json taken = Json::parse(reply.body);
    fmt::print("{}: {} is recorded\n", one_line(taken.at("check").get<std::string>(), 128),
               taken.at("verdict").get<std::string>());
  }
  return 0;
}

}  // namespace vital::ctl
