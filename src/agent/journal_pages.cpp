// See journal_pages.hpp.
#include "agent/journal_pages.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "publish/json_text.hpp"

namespace vital::journal_pages {
namespace {

constexpr std::size_t most_rows = 100000;
constexpr std::size_t most_names = 16;

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0) return {};
  return out;
}

std::optional<WallTime> moment(std::string_view text, WallTime now) {
  if (const auto back = parse_duration(text)) {
    return now - std::chrono::duration_cast<std::chrono::milliseconds>(*back);
  }
  return parse_wall(text);
}

double ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }
long long us(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }
long long at_ms(WallTime t) { return t.time_since_epoch().count(); }

void write(JsonText& out, const JournalEvent& e) {
  out.begin_object();
  out.field("id", e.id);
  out.field("at", format_wall(e.at));
  out.field("level", e.level);
  out.field("event", e.event);
  out.begin_object("fields");
  for (const auto& [key, value] : e.fields) out.field(key, value);
  out.end_object();
  out.end_object();
}

void write(JsonText& out, const JournalResult& r) {
  out.begin_object();
  out.field("id", r.id);
  out.field("at", format_wall(r.at));
  out.field("check", r.check);
  out.field("verdict", name(r.verdict));
  out.field("cause", name(r.cause));
  out.field("duration_ms", ms(r.duration));
  out.field("output", r.text);
  out.field("attempt", r.attempt);
  out.field("is_outcome", r.is_outcome);
  out.field("is_discounted", r.is_discounted);
  out.field("lost_ms", ms(r.lost));
  out.end_object();
}

void write(JsonText& out, const JournalHour& h) {
  out.begin_object();
  out.field("from", format_wall(h.from));
  out.field("pass", h.passes);
  out.field("warn", h.warns);
  out.field("fail", h.fails);
  out.field("unknown", h.unknowns);
  out.field("retries", h.retries);
  const std::uint64_t good = h.passes + h.warns;
  const auto if_any = [&](double value) { return good > 0 ? std::optional(value) : std::nullopt; };
  out.field("min_ms", if_any(ms(h.shortest)));
  out.field("mean_ms", if_any(ms(h.total) / static_cast<double>(std::max<std::uint64_t>(good, 1))));
  out.field("max_ms", if_any(ms(h.longest)));
  out.end_object();
}

void write_row(JsonText& out, const JournalResult& r) {
  out.value("r");
  out.value(r.id);
  out.value(at_ms(r.at));
  out.value(r.check);
  out.value(static_cast<int>(r.verdict));
  out.value(static_cast<int>(r.cause));
  out.value(us(r.duration));
  out.value(us(r.found_ago));
  out.value(us(r.lost));
  out.value(r.attempt);
  out.value(r.is_outcome ? 1 : 0);
  out.value(r.is_discounted ? 1 : 0);
  out.value(r.text);
}
void write_row(JsonText& out, const JournalEvent& e) {
  out.value("e");
  out.value(e.id);
  out.value(at_ms(e.at));
  out.value(e.level);
  out.value(e.event);
  for (const auto& [key, value] : e.fields) {
    out.value(key);
    out.value(value);
  }
}
void write_row(JsonText& out, const JournalState& s) {
  out.value("s");
  out.value(s.id);
  out.value(at_ms(s.at));
  out.value(static_cast<int>(s.kind));
  out.value(s.text);
}

}  // namespace

std::optional<JournalQuery> parse(const QueryList& query, const std::vector<std::string>& known, WallTime now,
                                  std::string* problem) {
  JournalQuery out;
  const auto refused = [&](const std::string& why) {
    *problem = why;
    return std::nullopt;
  };
  for (const auto& [key, value] : query) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return refused("unknown parameter " + one_line(key, 64) + ": known are " + join(known, ", "));
    }
    const std::string shown = key + "=" + one_line(value, 64);
    if (key == "since" || key == "until") {
      const auto at = moment(value, now);
      if (!at) return refused(shown + ": write a duration (1h) or a time (2026-01-31T12:00:00Z)");
      (key == "since" ? out.since : out.until) = at;
    } else if (key == "after") {
      const auto id = number<std::int64_t>(value);
      if (!id) return refused(shown + ": write the id of an event");
      out.after_id = *id;
      out.is_forward = true;
    } else if (key == "limit") {
      const auto limit = number<std::size_t>(value);
      if (!limit || *limit == 0) return refused(shown + ": write a number from 1");
      out.limit = std::min(*limit, most_rows);
    } else if (key == "check") {
      out.check = value;
    } else if (key == "event") {
      for (const std::string_view name : split(value, ',')) {
        if (!name.empty()) out.events.emplace_back(name);
      }
      if (out.events.size() > most_names) return refused("event: at most 16 names");
    }
  }
  return out;
}

GetAnswer refuse(int status, std::string_view why) {
  JsonText out;
  out.begin_object();
  out.field("error", why);
  out.end_object();
  return {status, "application/json", out.take()};
}

std::string event(const JournalEvent& e) {
  JsonText out;
  write(out, e);
  std::string text = out.take();
  text.pop_back();
  return text;
}

std::vector<JournalEvent> joined(const JournalQuery& query, std::optional<std::vector<JournalEvent>> found,
                                 const std::vector<JournalEvent>& ring, bool* has_more) {
  std::map<std::int64_t, JournalEvent> all;
  if (found) {
    for (JournalEvent& e : *found) all.emplace(e.id, std::move(e));
  }
  // Of what the journal answered only the part up to its limit is whole; the ring must not leap over a gap in it.
  const bool is_cut = all.size() > query.limit;
  const std::int64_t newest = is_cut ? all.rbegin()->first : 0;
  const std::int64_t oldest = is_cut ? all.begin()->first : 0;
  for (const JournalEvent& e : ring) {
    const bool is_beyond = is_cut && (query.is_forward ? e.id > newest : e.id < oldest);
    if (!is_beyond) all.emplace(e.id, e);
  }
  *has_more = all.size() > query.limit;
  while (all.size() > query.limit) all.erase(query.is_forward ? std::prev(all.end()) : all.begin());
  std::vector<JournalEvent> out;
  out.reserve(all.size());
  for (auto& [id, e] : all) out.push_back(std::move(e));
  return out;
}

std::string events(const JournalQuery& query, std::optional<std::vector<JournalEvent>> found,
                   const std::vector<JournalEvent>& ring, std::int64_t newest) {
  const bool is_from_disk = found.has_value();
  bool has_more = false;
  const std::vector<JournalEvent> all = joined(query, std::move(found), ring, &has_more);
  const std::int64_t last = all.empty() ? query.after_id : all.back().id;
  JsonText out;
  out.begin_object();
  out.begin_array("events");
  for (const JournalEvent& e : all) write(out, e);
  out.end_array();
  out.field("last_id", query.is_forward && has_more ? last : std::max(newest, last));
  out.field("has_more", has_more);
  out.field("source", is_from_disk ? "journal" : "memory");
  out.end_object();
  return out.take();
}

std::string results(const JournalQuery& query, std::vector<JournalResult> found) {
  const bool has_more = found.size() > query.limit;
  if (has_more) found.erase(query.is_forward ? std::prev(found.end()) : found.begin());
  JsonText out;
  out.begin_object();
  out.begin_array("results");
  std::int64_t last = query.after_id;
  for (const JournalResult& r : found) {
    write(out, r);
    last = std::max(last, r.id);
  }
  out.end_array();
  out.field("last_id", last);
  out.field("has_more", has_more);
  out.end_object();
  return out.take();
}

std::string hours(const std::string& check, const std::vector<JournalHour>& found) {
  JsonText out;
  out.begin_object();
  out.field("check", check);
  out.begin_array("hours");
  for (const JournalHour& h : found) write(out, h);
  out.end_array();
  out.end_object();
  return out.take();
}

std::string page(const JournalPage& page) {
  JsonText out;
  out.begin_object();
  out.begin_array("rows");
  for (const JournalRow& row : page.rows) {
    out.begin_array();
    std::visit([&](const auto& r) { write_row(out, r); }, row);
    out.end_array();
  }
  out.end_array();
  out.field("last_id", page.last_id);
  out.field("has_more", page.has_more);
  out.end_object();
  return out.take();
}

}  // namespace vital::journal_pages
