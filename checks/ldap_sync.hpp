// Whether a directory has what its provider has: contextCSN compared server by server, and what cn=Monitor knows of a
// consumer's syncrepl. Pure; the file that talks to servers is ldap.cpp.
#pragma once

#include <time.h>

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "findings.hpp"
#include "words.hpp"

namespace vital::check::ldap {

// A change sequence number: when, and by which server. "20261125234142.123456Z#000000#001#000000".
struct Csn {
  std::string text;
  std::string sid;  // "001"
  double at_s = 0;  // since the epoch

  static std::optional<Csn> read(const std::string& text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micro = 0, used = 0;
    unsigned count = 0, sid = 0, mod = 0;
    if (text.size() != 40 ||
        std::sscanf(text.c_str(), "%4d%2d%2d%2d%2d%2d.%6dZ#%6x#%3x#%6x%n", &year, &month, &day, &hour, &minute, &second,
                    &micro, &count, &sid, &mod, &used) != 10 ||
        used != 40) {
      return {};
    }
    tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    parts.tm_hour = hour;
    parts.tm_min = minute;
    parts.tm_sec = second;
    return Csn{text, text.substr(30, 3), static_cast<double>(timegm(&parts)) + micro / 1e6};
  }
};

using ContextCsn = std::map<std::string, Csn>;  // by server id

// The values of contextCSN, one a server that ever wrote. What is no CSN is left out.
inline ContextCsn context_csn(const std::vector<std::string>& values) {
  ContextCsn out;
  for (const std::string& value : values) {
    if (const std::optional<Csn> csn = Csn::read(value)) out[csn->sid] = *csn;
  }
  return out;
}

// How far `consumer` is behind `provider`: 0 if it has all that every server wrote. Otherwise the time between its
// newest change and the one it misses, which overstates the wait if nothing was written in between; so it is asked
// again for a moment before anybody believes this (see settle in ldap.cpp). A consumer that is ahead is not behind.
struct Behind {
  double seconds = 0;
  std::string sid;           // of the server whose changes are missing
  bool has_nothing = false;  // it never got a change of that server
  bool is_behind() const { return !sid.empty(); }
};
inline Behind behind(const ContextCsn& provider, const ContextCsn& consumer) {
  Behind worst;
  for (const auto& [sid, theirs] : provider) {
    const auto at = consumer.find(sid);
    if (at == consumer.end()) return {0, sid, true};
    if (at->second.text >= theirs.text) continue;
    const double seconds = theirs.at_s - at->second.at_s;
    if (!worst.is_behind() || seconds > worst.seconds) worst = {seconds, sid, false};
  }
  return worst;
}

struct SyncLimits {
  Limit lag_s, contact_s;
  static SyncLimits options(const Options& o) {
    return {Limit::seconds(o, "warn_lag", "fail_lag"), Limit::seconds(o, "warn_contact", "fail_contact")};
  }
};

inline void judge(const Behind& b, const std::string& provider, const SyncLimits& limits, Findings& found,
                  Result& result) {
  if (b.has_nothing) {
    found.add(Verdict::fail, Cause::content, "it has no change of server " + b.sid + ", and " + provider + " has");
    return;
  }
  limits.lag_s.measure(result, "lag", b.seconds, "s");
  if (!b.is_behind()) return;
  char words[64];
  std::snprintf(words, sizeof words, "it is %.1f s of changes behind ", b.seconds);
  const std::string text = words + provider + " (server " + b.sid + ")";
  if (!limits.lag_s.is_set()) return found.add(Verdict::warn, Cause::content, text);
  found.judge(limits.lag_s, b.seconds, text);
}

// One syncrepl of a consumer, as cn=Monitor shows it (olmSyncReplInstance, OpenLDAP 2.5.4 and later).
struct SyncRepl {
  std::string provider;      // olmSRProviderURIList
  std::string phase;         // olmSRSyncPhase: Persist once it is up to date, Refresh... before
  std::string next_connect;  // olmSRNextConnect: 00000101000000Z while it is connected
  std::string last_contact;  // olmSRLastContact

  bool is_connected() const { return next_connect.substr(0, 4) == "0000"; }
};

// "20261125234142Z", perhaps with a fraction. Empty for what is no time, and for the year 0 that means never.
inline std::optional<double> time_of(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%4d%2d%2d%2d%2d%2d", &year, &month, &day, &hour, &minute, &second) != 6 ||
      year < 1900) {
    return {};
  }
  tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  parts.tm_sec = second;
  return static_cast<double>(timegm(&parts));
}

// `now_s` is the wall clock, since the epoch.
inline void judge(const std::vector<SyncRepl>& all, double now_s, const SyncLimits& limits, Findings& found,
                  Result& result) {
  if (all.empty()) {
    return found.add(
        Verdict::unknown, Cause::config,
        "cn=Monitor shows no syncrepl: is this a consumer of OpenLDAP 2.5.4 or later, with `database monitor` "
        "that this user may read?");
  }
  std::string phases;
  std::optional<double> longest;
  bool is_linked = true;
  for (const SyncRepl& one : all) {
    const std::string whose = "its syncrepl from " + tidy(one.provider, 80);
    phases += (phases.empty() ? "" : ",") + tidy(one.phase, 30);
    if (!one.is_connected()) {
      is_linked = false;
      found.break_link(Verdict::fail, Cause::content, whose + " is not connected");
    } else if (one.phase != "Persist") {
      found.add(Verdict::warn, Cause::content, whose + " is in the phase " + tidy(one.phase, 30) + ", not in Persist");
    }
    if (const std::optional<double> at = time_of(one.last_contact)) {
      const double age = std::max(0.0, now_s - *at);
      longest = std::max(longest.value_or(0), age);
      char words[48];
      std::snprintf(words, sizeof words, " heard nothing for %.0f s", age);
      found.judge(limits.contact_s, age, whose + words);
    }
  }
  result.fact("sync_phase", phases);
  if (is_linked) result.fact("link", "up");
  if (longest) limits.contact_s.measure(result, "last_contact", *longest, "s");
}

// The fact `role`, in the words of a topology: primary (it follows nobody), standby, or mirror: it follows another and
// takes writes itself, so that the address decides who is primary. `follows` is empty if that cannot be seen.
inline void judge_role(const std::optional<std::vector<SyncRepl>>& follows, bool is_writable, std::string_view wanted,
                       Findings& found, Result& result) {
  if (!follows) {
    return found.add(Verdict::unknown, Cause::config,
                     "its role cannot be seen: cn=Monitor needs `database monitor`, which this user may read");
  }
  const bool is_consumer = !follows->empty();
  result.fact("role", !is_consumer ? "primary" : is_writable ? "mirror" : "standby");
  if (wanted == "provider" && is_consumer && !is_writable) {
    found.add(Verdict::fail, Cause::role,
              "it is a consumer of " + tidy(follows->front().provider, 80) + ", expected a provider");
  } else if (wanted == "consumer" && !is_consumer) {
    found.add(Verdict::fail, Cause::role, "it is a provider, expected a consumer");
  }
}

}  // namespace vital::check::ldap
