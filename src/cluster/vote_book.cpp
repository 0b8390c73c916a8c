// See vote_book.hpp.
#include "cluster/vote_book.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;
constexpr long long longest_age_ms = 24LL * 3600 * 1000;

std::optional<ServerRole> role_named(std::string_view text) {
  for (const ServerRole r : {ServerRole::unknown, ServerRole::primary, ServerRole::standby}) {
    if (name(r) == text) return r;
  }
  return {};
}

std::optional<failover::PeerVote> parse(const VoteBook::Written& in) {
  const Json json = Json::parse(in.text, nullptr, false);
  if (!json.is_object()) return {};
  const auto text = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? one_line(json[key].get<std::string>(), 200) : std::string();
  };
  const auto flag = [&](const char* key) { return json.contains(key) && json[key] == true; };
  const auto time = [&](const char* key) -> std::optional<Duration> {
    if (!json.contains(key) || !json[key].is_number_integer()) return {};
    const auto ms = json[key].get<long long>();
    if (ms < 0 || ms > longest_age_ms) return {};
    return std::chrono::milliseconds(ms);
  };
  const auto role = role_named(text("role"));
  const auto age = time("age_ms");
  const auto way = time("way_ms");
  if (!role || !age || !way || (flag("down") && flag("well"))) return {};
  failover::PeerVote out;
  out.node = in.node;
  out.zone = text("zone");
  out.topology = in.topology;
  out.member = in.member;
  out.role = *role;
  out.is_down = flag("down");
  out.is_well = flag("well");
  out.age = *age + *way;
  out.text = text("text");
  if (const auto good = time("good_ms")) out.good_age = *good + *way;
  return out;
}

}  // namespace

std::string vote_text(const failover::PublishVote& vote, Instant now, Duration way, std::string_view zone) {
  const auto up = [](Duration d) {
    return std::chrono::ceil<std::chrono::milliseconds>(std::max(d, Duration{})).count();
  };
  Json out{{"role", name(vote.role)},          {"down", vote.is_down}, {"well", vote.is_well},
           {"age_ms", up(now - vote.seen_at)}, {"way_ms", up(way)},    {"zone", zone},
           {"text", one_line(vote.text, 200)}};
  if (vote.good_at && now - *vote.good_at < std::chrono::milliseconds(longest_age_ms))
    out["good_ms"] = up(now - *vote.good_at);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void VoteBook::looked(Instant issued, const std::vector<Written>& all) {
  std::map<std::string, Known> now;
  for (const Written& w : all) {
    if (w.node == self_ || now.size() == failover::max_votes) continue;
    const std::string key = w.topology + '/' + w.member + '/' + w.node;
    const auto before = known_.find(key);
    if (before != known_.end() && before->second.revision == w.revision) {
      now.emplace(key, std::move(before->second));
      continue;
    }
    Known fresh{w.revision, last_look_, parse(w)};
    if (!fresh.vote) ++malformed_;
    now.emplace(key, std::move(fresh));
  }
  known_ = std::move(now);
  last_look_ = issued;
}

void VoteBook::forget() {
  last_look_.reset();
  for (auto& [key, known] : known_) known.not_before.reset();
}

std::vector<failover::PeerVote> VoteBook::votes(Instant now) const {
  std::vector<failover::PeerVote> out;
  for (const auto& [key, known] : known_) {
    if (!known.vote || !known.not_before) continue;
    failover::PeerVote vote = *known.vote;
    const Duration since = std::max(now - *known.not_before, Duration{});
    vote.age += since;
    if (vote.good_age) *vote.good_age += since;
    out.push_back(std::move(vote));
  }
  return out;
}

}  // namespace vital
