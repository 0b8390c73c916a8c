// The store as a whole: calls and their answers, the login, the look at everything; see etcd_store.hpp. What becomes of
// leases is in etcd_claims.cpp, what is published in etcd_notes.cpp.
#include "cluster/etcd_store.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/text.hpp"
#include "cluster/etcd_limits.hpp"

namespace vital {

using failover::StoreHealth;

EtcdStore::EtcdStore(ClusterPlan plan, Send send) : plan_(std::move(plan)), send_(std::move(send)), book_(plan_.node) {}

std::string EtcdStore::key_of(std::string_view what, std::string_view rest) const {
  return fmt::format("{}/{}/{}{}", plan_.prefix, plan_.name, what, rest);
}

std::uint64_t EtcdStore::call(Instant now, std::string path, std::string body, Duration patience,
                              std::function<void(Instant, const etcd::Reply&)> next) {
  Call out{++last_id_, endpoint(), std::move(path), token_, std::move(body), now + patience};
  pending_.emplace(out.id, Pending{out.not_after, endpoint_, std::move(next)});
  ++counts_.calls;
  send_(out);
  return out.id;
}

void EtcdStore::answered(Instant now, std::uint64_t id, const etcd::Reply& reply) {
  const auto at = pending_.find(id);
  if (at == pending_.end()) return;  // it is late, and was taken for lost
  const Pending pending = std::move(at->second);
  pending_.erase(at);
  answered_by_ = pending.endpoint;
  pending.next(now, reply);
}

void EtcdStore::expire(Instant now) {
  std::vector<std::uint64_t> late;
  for (const auto& [id, pending] : pending_) {
    if (now >= pending.deadline + etcd::grace) late.push_back(id);
  }
  for (const std::uint64_t id : late) answered(now, id, {"did not answer in time", 0, {}});
}

// What an answer says of the endpoint and of our login.
void EtcdStore::heed(const etcd::Judged& judged, std::size_t endpoint) {
  if (judged.is_ok()) return;
  ++(judged.cls == etcd::Class::late ? counts_.late : counts_.refused);
  if (judged.cls == etcd::Class::login) token_.clear();
  if (etcd::is_worth_another(judged.cls) && endpoint == endpoint_ && plan_.endpoints.size() > 1) {
    endpoint_ = (endpoint_ + 1) % plan_.endpoints.size();
    ++counts_.rotations;
  }
}

void EtcdStore::tick(Instant now, Duration slept) {
  if (slept_ && slept - *slept_ > etcd::sleep_noticed) {
    for (auto& [topology, claim] : claims_) {
      if (claim.state == Claim::State::held) lose(now, claim);
    }
    book_.forget();
    looked_at_.reset();
    trouble_text_ = "has not been asked since the host slept";
  }
  slept_ = slept;
  expire(now);
  for (auto& [topology, claim] : claims_) {
    if (claim.state == Claim::State::held && now >= claim.until) lose(now, claim);
  }
  if (!may_call()) return log_in(now);
  if (!is_looking_ && now >= next_look_) look(now);
  for (auto& [topology, claim] : claims_) mind(now, topology, claim);
  std::erase_if(claims_, [](const auto& c) { return c.second.state == Claim::State::idle && !c.second.is_wanted; });
  mind_session(now);
  vote(now);
  mind_record(now);
}

void EtcdStore::log_in(Instant now) {
  if (is_logging_in_ || now < next_login_) return;
  is_logging_in_ = true;
  next_login_ = now + etcd::login_pause;
  call(now, "/v3/auth/authenticate", etcd::login_body(plan_.user, plan_.password), plan_.timeout,
       [this](Instant came, const etcd::Reply& reply) {
         is_logging_in_ = false;
         const etcd::Login login = etcd::login_of(reply);
         heed(login, answered_by_);
         if (!login.is_ok()) {
           // What is unreachable may be reached at the next endpoint, soon.
           if (etcd::is_worth_another(login.cls)) next_login_ = came + etcd::retry_pause;
           trouble_ = etcd::is_worth_another(login.cls) ? StoreHealth::unreachable : StoreHealth::refused;
           trouble_text_ = "the login as " + plan_.user + " " + login.text;
           return;
         }
         ++counts_.logins;
         token_ = login.token;
       });
}

void EtcdStore::look(Instant now) {
  is_looking_ = true;
  next_look_ = now + plan_.interval;
  call(now, "/v3/kv/range", etcd::range_body(key_of("", "")), plan_.timeout,
       [this, issued = now](Instant came, const etcd::Reply& reply) {
         is_looking_ = false;
         const etcd::Ranged found = etcd::ranged_of(reply);
         heed(found, answered_by_);
         if (!found.is_ok()) {
           if (etcd::is_worth_another(found.cls)) next_look_ = came + std::min(plan_.interval, etcd::retry_pause);
           const bool is_silent = found.cls == etcd::Class::unreachable || found.cls == etcd::Class::late;
           trouble_ = is_silent ? StoreHealth::unreachable : StoreHealth::refused;
           trouble_text_ = fmt::format("{} {}", plan_.endpoints.at(answered_by_), found.text);
           if (!is_silent && found.cls != etcd::Class::login) looked_at_.reset();
           return;
         }
         if (found.revision < revision_) {
           looked_at_.reset();
           trouble_ = StoreHealth::refused;
           trouble_text_ = fmt::format("{} went back from revision {} to {}; if it was restored, restart the agents",
                                       plan_.endpoints.at(answered_by_), revision_, found.revision);
           return;
         }
         looked(issued, found);
       });
}

void EtcdStore::looked(Instant issued, const etcd::Ranged& found) {
  revision_ = found.revision;
  looked_at_ = issued;
  must_look_ = false;
  holders_.clear();
  failover::SharedRecord record;
  std::vector<VoteBook::Written> votes;
  const std::string leases = key_of("leases/", "");
  const std::string ballots = key_of("votes/", "");
  const std::string shared = key_of("record", "");
  for (const etcd::Entry& entry : found.entries) {
    if (entry.key.starts_with(leases)) {
      holders_[entry.key.substr(leases.size())] = entry;
    } else if (entry.key.starts_with(ballots)) {
      const std::string path = entry.key.substr(ballots.size());
      const std::size_t member = path.find('/');
      const std::size_t node = member == std::string::npos ? member : path.find('/', member + 1);
      if (node == std::string::npos) continue;
      votes.push_back({path.substr(0, member), path.substr(member + 1, node - member - 1), path.substr(node + 1),
                       entry.value, entry.mod_revision});
    } else if (entry.key == shared && entry.value.size() <= failover::max_record) {
      record = {entry.value, entry.mod_revision};
    }
  }
  record_ = std::move(record);
  book_.looked(issued, votes);
  for (auto& [topology, claim] : claims_) confirm(issued, topology, claim, found);
}

failover::ClusterSeen EtcdStore::seen(Instant now) const {
  failover::ClusterSeen out;
  out.at = now;
  out.revision = revision_;
  const bool is_fresh = looked_at_ && now - *looked_at_ <= 3 * plan_.interval + plan_.timeout;
  out.health = is_fresh ? StoreHealth::ok : trouble_;
  if (!is_fresh) out.text = trouble_text_;
  for (const auto& [topology, entry] : holders_) {
    const auto ours = claims_.find(topology);
    if (ours != claims_.end() && ours->second.state == Claim::State::held) continue;
    out.leases.push_back({topology, one_line(entry.value, 128), false, entry.create_revision, {}});
  }
  for (const auto& [topology, claim] : claims_) {
    if (claim.state != Claim::State::held) continue;
    const bool is_live = claim.is_wanted && now < claim.until;
    out.leases.push_back({topology, plan_.node, is_live, claim.token, is_live ? claim.until : Instant{}});
  }
  out.votes = book_.votes(now);
  out.record = record_;
  return out;
}

void EtcdStore::leave(Instant now) {
  for (auto& [topology, claim] : claims_) give_up(now, topology);
  for (auto& [topology, claim] : claims_) mind(now, topology, claim);
  if (!session_.lease.empty()) {
    call(now, "/v3/lease/revoke", etcd::lease_body(session_.lease), plan_.timeout, [](Instant, const etcd::Reply&) {});
  }
  own_votes_.clear();
  session_.lease.clear();
}

}  // namespace vital
