// What agents read of what others wrote into the store: the gateway's answers, votes, the shared record, the ledger of
// decisions, the journal of steps. Whatever the text is, nobody gets a lease, a claim or a vote out of what is none,
// and what is read once is written and read again as the same.
//
//   shared_fuzz corpus/ tests/data/cluster/shared-corpus -max_len=8192
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cluster/etcd_answer.hpp"
#include "cluster/vote_book.hpp"
#include "core/failover/ledger.hpp"
#include "core/failover/record.hpp"
#include "failover/step_journal.hpp"

namespace {

void claim(bool holds) {
  if (!holds) std::abort();
}

void answer(const std::string& body) {
  using namespace vital::etcd;
  for (const int status : {200, 400, 503, 0}) {
    const Reply reply{"", status, body};
    const Judged judged = judge(reply);
    claim(judged.is_ok() == judged.text.empty());
    claim(status == 200 || !judged.is_ok());
    claim(!login_of(reply).is_ok() || !login_of(reply).token.empty());
    claim(!granted_of(reply).is_ok() || !granted_of(reply).lease.empty());
    const Kept kept = kept_of(reply);
    claim(!kept.is_alive || (kept.is_ok() && kept.ttl > vital::Duration::zero()));
    const Claimed claimed = claimed_of(reply);
    claim(!claimed.is_ours || (claimed.is_ok() && claimed.revision > 0));
    const Written written = written_of(reply);
    claim(!written.is_done || written.is_ok());
    const Ranged ranged = ranged_of(reply);
    claim(ranged.is_ok() || ranged.entries.empty());
    claim(ranged.entries.size() <= max_entries);
  }
}

void vote(const std::string& text) {
  using namespace std::chrono_literals;
  vital::VoteBook book("us");
  const vital::Instant start(1000s);
  book.looked(start, {});
  book.looked(start + 1s, {{"main", "one", "other", text, 5}});
  const auto votes = book.votes(start + 2s);
  claim(votes.size() + book.malformed() == 1);
  for (const auto& one : votes) claim(one.node == "other" && one.age >= 1s);
}

void kept(std::string_view text) {
  using namespace vital::failover;
  const Record record = decode_record(text);
  claim(decode_record(encode(record)) == record);
  if (const auto facts = decode_facts(text)) claim(decode_facts(encode(*facts)) == facts);
  if (const auto decision = decode_decision(text)) {
    claim(decode_decision(encode(*decision)) == decision);
    FailoverPolicyPlan plan;
    plan.topology = decision->topology;
    claim(!explain(*decision, plan).empty());
    claim(replay({*decision}, plan, "b").size() == 1);
  }
  if (const auto step = vital::parse_step(text)) claim(vital::print(*step).find('\n') != std::string::npos);
  std::size_t bad = 0;
  claim(vital::interrupted_in(text, &bad).size() + bad <= text.size() + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string said(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (*data) {
    case 'A':
      answer(said);
      break;
    case 'V':
      vote(said);
      break;
    case 'K':
      kept(said);
      break;
    default:
      break;
  }
  return 0;
}
