// What becomes of leases: taken, renewed, confirmed, lost, given back; see etcd_store.hpp.
#include <algorithm>

#include "cluster/etcd_limits.hpp"
#include "cluster/etcd_store.hpp"

namespace vital {

void EtcdStore::want(const std::string& topology) {
  if (!claims_.contains(topology) && claims_.size() == etcd::max_claims) {
    ++counts_.dropped;
    return;
  }
  claims_[topology].is_wanted = true;
}

void EtcdStore::give_up(Instant now, const std::string& topology) {
  const auto at = claims_.find(topology);
  if (at == claims_.end()) return;
  at->second.is_wanted = false;
  at->second.next_at = now;
}

// One thing at a time for each claim.
void EtcdStore::mind(Instant now, const std::string& topology, Claim& claim) {
  switch (claim.state) {
    case Claim::State::granting:
    case Claim::State::claiming:
      return;
    case Claim::State::idle:
      // Only where the last look found nobody: a lease that cannot be used is not worth a write.
      if (claim.is_wanted && now >= claim.next_at && looked_at_ && !must_look_ && !holders_.contains(topology))
        grant(now, topology);
      return;
    case Claim::State::held:
      if (!claim.is_wanted) {
        claim.state = Claim::State::returning;
        claim.next_at = now;
        return give_back(now, topology, claim);
      }
      if (!claim.is_renewing && now >= claim.next_at) renew(now, topology, claim);
      return;
    case Claim::State::returning:
      if (now >= claim.next_at) give_back(now, topology, claim);
      return;
  }
}

void EtcdStore::grant(Instant now, const std::string& topology) {
  claims_[topology].state = Claim::State::granting;
  call(now, "/v3/lease/grant", etcd::grant_body(plan_.ttl), plan_.timeout,
       [this, topology, issued = now](Instant came, const etcd::Reply& reply) {
         Claim& claim = claims_[topology];
         const etcd::Granted granted = etcd::granted_of(reply);
         heed(granted, answered_by_);
         if (!granted.is_ok()) {
           // If one was granted all the same it ends by itself.
           claim.state = Claim::State::idle;
           claim.next_at = came + (etcd::is_worth_another(granted.cls) ? etcd::retry_pause : plan_.interval);
           return;
         }
         claim.lease = granted.lease;
         claim.lease_issued = issued;
         claim.ttl = std::min(granted.ttl, plan_.ttl);
         take(came, topology);
       });
}

void EtcdStore::take(Instant now, const std::string& topology) {
  Claim& mine = claims_[topology];
  mine.state = Claim::State::claiming;
  call(now, "/v3/kv/txn", etcd::claim_body(key_of("leases/", topology), plan_.node, mine.lease), plan_.timeout,
       [this, topology](Instant came, const etcd::Reply& reply) {
         Claim& claim = claims_[topology];
         const etcd::Claimed claimed = etcd::claimed_of(reply);
         heed(claimed, answered_by_);
         if (!claimed.is_ok() || !claimed.is_ours) {
           // Somebody was faster, or nobody knows: with its lease the key goes too, if it was made.
           claim.state = Claim::State::returning;
           claim.next_at = came;
           next_look_ = came;
           must_look_ = true;
           if (!claimed.is_ok()) looked_at_.reset();
           return give_back(came, topology, claim);
         }
         claim.state = Claim::State::held;
         claim.token = claimed.revision;
         claim.held_from = came;
         claim.until = claim.lease_issued + claim.ttl - plan_.margin;
         claim.next_at = came + (plan_.ttl - plan_.margin) / 3;
         claim.renewal.reset();
         ++counts_.gained;
         if (came >= claim.until) lose(came, claim);
       });
}

void EtcdStore::renew(Instant now, const std::string& topology, Claim& mine) {
  mine.is_renewing = true;
  mine.next_at = now + (plan_.ttl - plan_.margin) / 3;
  call(now, "/v3/lease/keepalive", etcd::lease_body(mine.lease), plan_.timeout,
       [this, topology, issued = now, token = mine.token](Instant came, const etcd::Reply& reply) {
         const auto at = claims_.find(topology);
         const etcd::Kept kept = etcd::kept_of(reply);
         heed(kept, answered_by_);
         if (at == claims_.end()) return;
         Claim& claim = at->second;
         claim.is_renewing = false;
         if (claim.state != Claim::State::held || claim.token != token) return;
         if (kept.is_ok() && !kept.is_alive) return lose(came, claim);
         if (!kept.is_ok()) {
           claim.next_at = came + etcd::retry_pause;
           return;
         }
         claim.ttl = std::min(kept.ttl, plan_.ttl);
         claim.renewal = Claim::Renewal{issued, came, kept.term};
         next_look_ = came;  // it counts when that has been answered
       });
}

// Whether a look at everything, asked for at `issued`, shows that the lease is ours and the renewal was real.
void EtcdStore::confirm(Instant issued, const std::string& topology, Claim& claim, const etcd::Ranged& found) {
  if (claim.state != Claim::State::held || issued < claim.held_from) return;
  const auto at = holders_.find(topology);
  if (at == holders_.end() || at->second.create_revision != claim.token || at->second.lease != claim.lease) {
    return lose(issued, claim);
  }
  if (!claim.renewal || issued < claim.renewal->answered) return;
  if (claim.renewal->term == found.term) {
    claim.until = std::max(claim.until, claim.renewal->issued + claim.ttl - plan_.margin);
  } else {
    ++counts_.unconfirmed;
    claim.next_at = issued;
  }
  claim.renewal.reset();
}

void EtcdStore::lose(Instant now, Claim& claim) {
  ++counts_.lost;
  claim.state = Claim::State::returning;
  claim.next_at = now;
  claim.token = 0;
  claim.renewal.reset();
}

void EtcdStore::give_back(Instant now, const std::string& topology, Claim& mine) {
  mine.next_at = now + plan_.timeout + 2 * etcd::grace;
  mine.token = 0;
  call(now, "/v3/lease/revoke", etcd::lease_body(mine.lease), plan_.timeout,
       [this, topology, lease = mine.lease](Instant came, const etcd::Reply& reply) {
         const etcd::Judged judged = etcd::judge(reply);
         if (judged.cls != etcd::Class::absent) heed(judged, answered_by_);
         const auto at = claims_.find(topology);
         if (at == claims_.end() || at->second.lease != lease || at->second.state != Claim::State::returning) return;
         // Whether it was revoked or will end by itself: the next look says when the key is gone.
         at->second.state = Claim::State::idle;
         at->second.next_at = came + etcd::retry_pause;
         at->second.lease.clear();
         next_look_ = came;
         looked_at_.reset();
       });
}

}  // namespace vital
