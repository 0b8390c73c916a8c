// See record.hpp.
#include "cmd/record.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cmd/loading.hpp"
#include "ctl/client.hpp"
#include "loop/loop.hpp"
#include "store/journal.hpp"

namespace vital::cmd {
namespace {

using Json = nlohmann::json;

constexpr std::size_t rows_a_page = 5000;

WallTime wall(const Json& ms) { return WallTime(std::chrono::milliseconds(ms.get<std::int64_t>())); }
Duration micros(const Json& us) { return std::chrono::microseconds(us.get<std::int64_t>()); }

JournalResult result(const Json& row) {
  JournalResult r;
  r.id = row.at(1).get<std::int64_t>();
  r.at = wall(row.at(2));
  r.check = row.at(3).get<std::string>();
  r.verdict = static_cast<Verdict>(row.at(4).get<unsigned>() % 4);
  r.cause = static_cast<Cause>(row.at(5).get<unsigned>() % detail::cause_names.size());
  r.duration = micros(row.at(6));
  r.found_ago = micros(row.at(7));
  r.lost = micros(row.at(8));
  r.attempt = row.at(9).get<std::uint32_t>();
  r.is_outcome = row.at(10).get<int>() != 0;
  r.is_discounted = row.at(11).get<int>() != 0;
  r.text = row.at(12).get<std::string>();
  return r;
}

JournalEvent event(const Json& row) {
  JournalEvent e{
      row.at(1).get<std::int64_t>(), wall(row.at(2)), row.at(3).get<std::string>(), row.at(4).get<std::string>(), {}};
  for (std::size_t i = 5; i + 1 < row.size(); i += 2) {
    e.fields.emplace_back(row.at(i).get<std::string>(), row.at(i + 1).get<std::string>());
  }
  return e;
}

JournalState state(const Json& row) {
  JournalState s;
  s.id = row.at(1).get<std::int64_t>();
  s.at = wall(row.at(2));
  s.kind = static_cast<JournalState::Kind>(row.at(3).get<unsigned>() % 3);
  s.text = row.at(4).get<std::string>();
  return s;
}

using Source = std::function<JournalPage(const JournalPageQuery&)>;

Source of_agent(const std::string& socket) {
  return [agent = ctl::Client(socket)](const JournalPageQuery& query) {
    std::string target = "/api/v1/journal?limit=" + std::to_string(query.limit);
    if (query.after_id > 0) {
      target += "&after=" + std::to_string(query.after_id);
    } else if (query.since) {
      target += "&since=" + ctl::encode(format_wall(*query.since));
    }
    return parse_journal_page(agent.get(target));
  };
}

Source of_file(const std::string& path) {
  return [path](const JournalPageQuery& query) { return read_journal_page(path, query); };
}

std::string socket_of(const Arguments& args) {
  if (args.has("socket")) return args.value("socket");
  const char* named = std::getenv("VITALD_SOCKET");
  return named != nullptr && *named != '\0' ? named : args.value("socket");
}

}  // namespace

JournalPage parse_journal_page(const std::string& body) {
  try {
    const Json page = Json::parse(body);
    JournalPage out;
    out.last_id = page.at("last_id").get<std::int64_t>();
    out.has_more = page.at("has_more").get<bool>();
    for (const Json& row : page.at("rows")) {
      const auto kind = row.at(0).get<std::string>();
      if (kind == "r") out.rows.emplace_back(result(row));
      if (kind == "e") out.rows.emplace_back(event(row));
      if (kind == "s") out.rows.emplace_back(state(row));
    }
    return out;
  } catch (const Json::exception& e) {
    throw std::runtime_error(std::string("the agent's journal makes no sense: ") + one_line(e.what(), 200));
  }
}

int with_record(const Arguments& args, const std::function<int(const Record&)>& work) {
  Record record;
  record.now = Loop::both().wall;
  if (const auto back = parse_duration(args.value("since"))) {
    record.since = record.now - std::chrono::duration_cast<std::chrono::milliseconds>(*back);
  } else if (const auto at = parse_wall(args.value("since"))) {
    record.since = *at;
  } else {
    fmt::print(stderr, "vitalctl: --since {}: write a duration (7d) or a time (2026-01-31T12:00:00Z)\n",
               one_line(args.value("since"), 64));
    return exit_usage;
  }
  LoadOptions how = loading(args.value("config"));
  Loaded loaded = load_config(how);
  if (!loaded.config) {
    // Who may not read the secrets may still try the rules.
    how.read_secrets = false;
    if (Loaded without = load_config(how); without.config) loaded = std::move(without);
  }
  if (!loaded.config) {
    print_problems(loaded);
    return exit_config;
  }
  record.config = loaded.config;
  const Source source = args.has("journal") ? of_file(args.value("journal")) : of_agent(socket_of(args));
  record.read = [&](const std::function<void(const JournalRow&)>& take) {
    JournalPageQuery query{0, record.since, rows_a_page};
    while (true) {
      const JournalPage page = source(query);
      for (const JournalRow& row : page.rows) take(row);
      if (!page.has_more) return;
      query = {page.last_id, {}, rows_a_page};
    }
  };
  try {
    return work(record);
  } catch (const std::exception& e) {
    fmt::print(stderr, "vitalctl: {}\n", one_line(e.what(), 2048));
    return exit_failed;
  }
}

}  // namespace vital::cmd
