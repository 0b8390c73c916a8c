// What is published: our votes, under a lease of their own, and the shared record; see etcd_store.hpp.
#include <algorithm>
#include <vector>

#include "cluster/etcd_limits.hpp"
#include "cluster/etcd_store.hpp"

namespace vital {

void EtcdStore::publish(const failover::PublishVote& vote) {
  const std::string key = vote.topology + '/' + vote.member;
  if (!own_votes_.contains(key) && own_votes_.size() == etcd::max_own_votes) {
    ++counts_.dropped;
    return;
  }
  own_votes_[key] = vote;
}

void EtcdStore::forget_votes(const std::string& topology) {
  std::erase_if(own_votes_, [&](const auto& v) { return v.second.topology == topology; });
}

void EtcdStore::mind_session(Instant now) {
  if (session_.is_busy || own_votes_.empty() || now < session_.next_at) return;
  session_.is_busy = true;
  session_.next_at = now + plan_.ttl / 3;
  if (session_.lease.empty()) {
    call(now, "/v3/lease/grant", etcd::grant_body(plan_.ttl), plan_.timeout,
         [this](Instant came, const etcd::Reply& reply) {
           session_.is_busy = false;
           const etcd::Granted granted = etcd::granted_of(reply);
           heed(granted, answered_by_);
           if (granted.is_ok()) session_.lease = granted.lease;
           if (!granted.is_ok()) session_.next_at = came + etcd::retry_pause;
         });
    return;
  }
  call(now, "/v3/lease/keepalive", etcd::lease_body(session_.lease), plan_.timeout,
       [this](Instant came, const etcd::Reply& reply) {
         session_.is_busy = false;
         const etcd::Kept kept = etcd::kept_of(reply);
         heed(kept, answered_by_);
         if (kept.is_ok() && kept.is_alive) return;
         if (kept.is_ok()) session_.lease.clear();
         session_.next_at = came + etcd::retry_pause;
       });
}

// All of them in turn, a transaction's worth at a time.
void EtcdStore::vote(Instant now) {
  if (is_voting_ || now < next_vote_ || own_votes_.empty() || session_.lease.empty()) return;
  std::vector<etcd::Put> puts;
  auto at = own_votes_.upper_bound(vote_cursor_);
  if (at == own_votes_.end()) at = own_votes_.begin();
  for (; at != own_votes_.end() && puts.size() < etcd::puts_at_once; ++at) {
    puts.push_back({key_of("votes/", at->first + '/' + plan_.node),
                    vote_text(at->second, now, etcd::vote_way, plan_.zone), session_.lease});
    vote_cursor_ = at->first;
  }
  const bool is_all = at == own_votes_.end();
  is_voting_ = true;
  next_vote_ = is_all ? now + plan_.interval : now;
  call(now, "/v3/kv/txn", etcd::puts_body(puts), std::min(plan_.timeout, etcd::vote_way),
       [this](Instant came, const etcd::Reply& reply) {
         is_voting_ = false;
         const etcd::Judged judged = etcd::judge(reply);
         if (judged.cls == etcd::Class::absent) {
           session_.lease.clear();
           session_.next_at = came;
         }
         heed(judged, answered_by_);
         if (!judged.is_ok()) next_vote_ = came + etcd::retry_pause;
       });
}

void EtcdStore::write(const failover::WriteRecord& record) {
  if (record.text.size() > failover::max_record || is_writing_) {
    ++counts_.dropped;
    return;
  }
  to_write_ = record;
}

void EtcdStore::mind_record(Instant now) {
  if (is_writing_ || !to_write_) return;
  is_writing_ = true;
  const failover::WriteRecord record = *to_write_;
  to_write_.reset();
  call(now, "/v3/kv/txn",
       etcd::swap_body(key_of("record", ""), record.text, record.expected, key_of("leases/", record.topology),
                       record.token),
       plan_.timeout, [this](Instant came, const etcd::Reply& reply) {
         is_writing_ = false;
         heed(etcd::written_of(reply), answered_by_);
         next_look_ = came;  // done or not, the look shows it
       });
}

}  // namespace vital
