// dns.update: one address record moves to another value, by RFC 2136 with a TSIG key, as a compare-and-swap: the server
// changes it only if it still holds the old value and no other. Read back from the authoritative server itself.
// nsupdate and dig (or knsupdate and kdig) speak; the key goes by standard input.
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

#include "action.hpp"
#include "checks/child_process.hpp"
#include "checks/words.hpp"

namespace {

using namespace vital::action;
using namespace std::chrono_literals;

constexpr const char* record_types[] = {"A", "AAAA", "CNAME", nullptr};
constexpr const char* algorithms[] = {"hmac-sha256", "hmac-sha384", "hmac-sha512", nullptr};

constexpr OptionRow options[] = {
    {"server", Type::string, nullptr, "address of the zone's primary server", "10.0.0.53", VITAL_OPTION_REQUIRED},
    {"port", Type::integer, "53", "its port", nullptr, 0, nullptr, 1, 65535},
    {"zone", Type::string, nullptr, "the zone", "example.jp", VITAL_OPTION_REQUIRED},
    {"name", Type::string, nullptr, "the record's whole name", "db.example.jp", VITAL_OPTION_REQUIRED},
    {"record", Type::choice, "A", "its type", nullptr, 0, record_types},
    {"ttl", Type::integer, "30", "its time to live, in seconds: so long clients may go to the old one", nullptr, 0,
     nullptr, 0, 86400},
    {"values", Type::map, nullptr, "member to what the record says while that member is primary",
     "{one: 10.0.0.11, two: 10.0.0.12}", VITAL_OPTION_REQUIRED},
    {"key_name", Type::string, nullptr, "name of the TSIG key", "vitald", VITAL_OPTION_REQUIRED},
    {"key_algorithm", Type::choice, "hmac-sha256", "its algorithm", nullptr, 0, algorithms},
    {"key", Type::string, nullptr, "the TSIG key, in base64", nullptr, VITAL_OPTION_SECRET | VITAL_OPTION_REQUIRED},
    {"update_program", Type::string, "/usr/bin/nsupdate", "nsupdate, or knsupdate"},
    {"query_program", Type::string, "/usr/bin/dig", "dig, or kdig"},
    VITAL_STEP_ROWS};

// Both end in a dot; case does not matter (RFC 4343).
bool lies_in(const std::string& name, const std::string& zone) {
  if (zone == "." || strcasecmp(name.c_str(), zone.c_str()) == 0) return true;
  if (name.size() <= zone.size()) return false;
  const std::size_t at = name.size() - zone.size();
  return name[at - 1] == '.' && strcasecmp(name.c_str() + at, zone.c_str()) == 0;
}

// What goes into a line of nsupdate must be one word of it.
std::string plain(const Options& o, const char* option, const std::string& text) {
  const bool is_good = !text.empty() && text.size() < 256 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '+' || c == '/' || c == '=';
  });
  if (!is_good)
    throw Invalid(option, (o.has(option) ? "has" : "needs") + std::string(" characters that cannot stand there"));
  return text;
}

class Update final : public Action {
 public:
  explicit Update(const Options& o)
      : server_(plain(o, "server", o.text("server"))),
        port_(o.text("port")),
        zone_(plain(o, "zone", o.text("zone"))),
        name_(plain(o, "name", o.text("name"))),
        type_(o.text("record")),
        ttl_(o.text("ttl")),
        values_(o.map("values")),
        key_(o.text("key_algorithm") + ":" + plain(o, "key_name", o.text("key_name")) + " "),
        update_(o.text("update_program")),
        query_(o.text("query_program")) {
    for (const auto& [member, value] : values_) plain(o, "values", value);
    if (o.has("key") && !o.text("key").empty()) key_ += plain(o, "key", o.text("key"));
    if (name_.back() != '.') name_ += '.';
    if (zone_.back() != '.') zone_ += '.';
    if (!lies_in(name_, zone_)) throw Invalid("name", name_ + " does not lie in the zone " + zone_);
  }

  Result check(const Step& step, const Attempt& attempt) override {
    for (const std::string& program : {update_, query_}) {
      if (access(program.c_str(), X_OK) != 0)
        return fail(Cause::config, program + " cannot be run: " + std::strerror(errno));
    }
    if (!step.to.empty()) need(step.to);
    std::set<std::string> now;
    if (const Result asked = ask(attempt, now); asked.verdict != Verdict::pass) return asked;
    if (now.size() != 1 || !is_ours(*now.begin())) {
      return fail(Cause::content, name_ + " " + type_ + " is " + shown_set(now) + ", which is none of the values");
    }
    // An update without a change, by the same key and with the same prerequisite.
    const std::string same = *now.begin();
    return send(attempt, "prereq yxrrset " + name_ + " " + type_ + " " + same + "\n", "may be updated");
  }

  Result perform(const Step& step, const Attempt& attempt) override { return swap(step, attempt, step.from, step.to); }
  Result verify(const Step& step, const Attempt& attempt) override {
    const std::string wanted = need(step.to);
    return poll_until(attempt.deadline() - 200ms, 200ms, [&] {
      std::set<std::string> now;
      const Result asked = ask(attempt, now);
      if (asked.verdict != Verdict::pass) return asked;
      if (now != std::set<std::string>{wanted}) {
        return fail(Cause::content, name_ + " " + type_ + " is " + shown_set(now) + " and not " + wanted);
      }
      return pass(name_ + " " + type_ + " is " + wanted);
    });
  }
  Result compensate(const Step& step, const Attempt& attempt) override {
    return swap(step, attempt, step.to, step.from);
  }

 private:
  std::string need(const std::string& member) const {
    for (const auto& [known, value] : values_) {
      if (known == member) return value;
    }
    veto("values says nothing of " + member);
  }
  bool is_ours(const std::string& value) const {
    return std::any_of(values_.begin(), values_.end(), [&](const auto& v) { return v.second == value; });
  }
  static std::string shown_set(const std::set<std::string>& all) {
    std::string out;
    for (const std::string& one : all) out += (out.empty() ? "" : ", ") + one;
    return out.empty() ? "not there" : tidy(out, 120);
  }

  Result swap(const Step& step, const Attempt& attempt, const std::string& from, const std::string& to) const {
    const std::string old_value = need(from);
    const std::string new_value = need(to);
    std::set<std::string> now;
    if (const Result asked = ask(attempt, now); asked.verdict != Verdict::pass) return asked;
    if (now == std::set<std::string>{new_value}) return pass(name_ + " " + type_ + " is " + new_value + " already");
    if (now != std::set<std::string>{old_value}) {
      veto(name_ + " " + type_ + " is " + shown_set(now) + ": somebody else changed it");
    }
    step.begin_effect();
    return send(attempt,
                "prereq yxrrset " + name_ + " " + type_ + " " + old_value + "\nupdate delete " + name_ + " " + type_ +
                    "\nupdate add " + name_ + " " + ttl_ + " " + type_ + " " + new_value + "\n",
                "was set to " + new_value);
  }

  Result send(const Attempt& attempt, const std::string& lines, const std::string& done) const {
    Command command;
    command.argv = {update_};
    command.environment = clean_environment();
    command.input = "server " + server_ + " " + port_ + "\nzone " + zone_ + "\nkey " + key_ + "\n" + lines + "send\n";
    const Ended ended = run_command(command, attempt.deadline() - 100ms, 50ms);
    // It may repeat its input, the key among it.
    std::string said = tidy(ended.output, 300);
    const std::string secret = key_.substr(key_.find(' ') + 1);
    if (!secret.empty()) {
      for (std::size_t at; (at = said.find(secret)) != std::string::npos;) said.replace(at, secret.size(), "(key)");
    }
    if (!ended.is_started) return fail(Cause::config, update_ + " could not be started: " + ended.failure);
    if (ended.is_timed_out) {
      return fail(Cause::timeout, server_ + " did not answer the update in time").fact("outcome", "timeout");
    }
    const bool is_refused = ended.exit_code != 0 || said.find("failed") != std::string::npos;
    if (!is_refused) return pass(name_ + " " + type_ + " " + done);
    if (said.find("NXRRSET") != std::string::npos) veto(name_ + " " + type_ + ": somebody else changed it");
    return fail(Cause::content, "the update of " + name_ + " was refused: " + said);
  }

  // The values as the authoritative server has them now.
  Result ask(const Attempt& attempt, std::set<std::string>& out) const {
    Command command;
    command.argv = {query_, "@" + server_, "-p", port_, "+short", "+norecurse", "+time=2", name_, type_};
    command.environment = clean_environment();
    const Ended ended = run_command(command, attempt.deadline() - 100ms, 50ms);
    if (!ended.is_started) return fail(Cause::config, query_ + " could not be started: " + ended.failure);
    if (ended.is_timed_out || ended.exit_code != 0) {
      return fail(Cause::timeout, server_ + " does not answer: " + tidy(ended.output, 120));
    }
    std::istringstream lines(ended.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == ';') continue;
      if (type_ == "CNAME" && line.back() == '.' && !is_ours(line)) line.pop_back();
      out.insert(line);
    }
    return pass("asked");
  }

  std::string server_, port_, zone_, name_, type_, ttl_;
  std::vector<std::pair<std::string, std::string>> values_;
  std::string key_;  // "hmac-sha256:name secret"
  std::string update_, query_;
};

}  // namespace

VITAL_ACTION(Update, "dns.update", "1.0", "moves an address record, by RFC 2136 with TSIG", options)
