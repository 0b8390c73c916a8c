// vitalctl lint: the other side's configuration, looked at for what does not go with vitald. It asks no agent.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "ctl/ctl.hpp"
#include "ctl/lint/lint.hpp"

namespace vital::ctl {
namespace {

constexpr int exit_clean = 0;
constexpr int exit_warnings = 1;
constexpr int exit_unreadable = 2;
constexpr std::size_t longest_file = 4 * 1024 * 1024;

constexpr cmd::Option options[] = {
    {0, "as", "KIND", "haproxy, keepalived, nginx or varnish", "by the file's name and content"},
    {0, "detect-within", "TIME", "warn if a fail is noticed later than this", "no such warning"},
    {0, "port", "PORT", "of vitald's health listener", "9180"},
    {0, "agent-port", "PORT", "of its agent check", "9181"},
    {0, "json", "", "as JSON"},
};
constexpr cmd::Usage usage{
    "vitalctl lint",
    "[OPTION]... FILE...",
    "Reads a balancer's configuration and says what in it does not go with vitald, with what to write instead.\n"
    "Ends with 0 if nothing was found, 1 if something was, 2 if a file could not be read.",
    "vitalctl lint --detect-within 10s /etc/haproxy/haproxy.cfg",
    options,
    64,
    exit_unreadable};

std::string read_all(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw CtlError(fmt::format("{} cannot be read: {}", file, std::generic_category().message(errno)));
  std::string out(longest_file + 1, '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  if (in.bad()) throw CtlError(fmt::format("{} cannot be read", file));
  out.resize(static_cast<std::size_t>(in.gcount()));
  if (out.size() > longest_file) throw CtlError(fmt::format("{} is longer than 4 MiB", file));
  return out;
}

lint::Warnings look(const std::string& file, const std::string& kind, const lint::Options& how) {
  const std::string text = read_all(file);
  const std::string language = kind.empty() ? std::string(lint::language_of(file, text)) : kind;
  if (language == "haproxy") return lint::haproxy(text, how);
  if (language == "keepalived") return lint::keepalived(text, how);
  if (language == "nginx") return lint::nginx(text, how);
  if (language == "varnish") return lint::varnish(text, how);
  throw CtlError(
      kind.empty()
          ? fmt::format("{}: whose configuration is this? --as haproxy, keepalived, nginx or varnish says so", file)
          : fmt::format("--as is haproxy, keepalived, nginx or varnish, not {}", one_line(kind, 40)));
}

}  // namespace

int lint_command(int argc, char** argv) {
  const cmd::Arguments args(usage, argc, argv);
  if (args.is_done()) return args.exit_code();
  if (args.operands().empty()) throw CtlError("which file? vitalctl lint --help shows an example");
  lint::Options how;
  how.port = args.has("port") ? args.value("port") : how.port;
  how.agent_port = args.has("agent-port") ? args.value("agent-port") : how.agent_port;
  if (args.has("detect-within")) {
    how.detect_within = parse_duration(args.value("detect-within"));
    if (!how.detect_within) throw CtlError("--detect-within is a time with its unit, as in 10s");
  }
  auto found = nlohmann::ordered_json::array();
  std::size_t count = 0;
  for (const std::string& file : args.operands()) {
    for (const lint::Warning& w : look(file, args.has("as") ? args.value("as") : "", how)) {
      ++count;
      if (args.has("json")) {
        found.push_back({{"file", file}, {"line", w.line}, {"what", w.what}, {"instead", w.instead}});
      } else {
        fmt::print("{}:{}: {}\n", file, w.line, w.text());
      }
    }
  }
  if (args.has("json")) {
    fmt::print("{}\n", nlohmann::ordered_json{{"warnings", found}}.dump(
                           2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  return count == 0 ? exit_clean : exit_warnings;
}

}  // namespace vital::ctl
