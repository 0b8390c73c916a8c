// Who watches us; see consumers.hpp.
#include "publish/consumers.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "publish/json_text.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration shortest_absence = 15s;
constexpr unsigned absence_factor = 3;       // intervals, and
constexpr Duration absence_extra = 5s;       // before somebody counts as lost
constexpr Duration forgotten_after = 30min;  // of absence
constexpr std::size_t longest_text = 96;

struct Mark {
  std::string_view begin;  // of the User-Agent
  std::string_view kind;
};
constexpr std::array marks{
    Mark{"Envoy/HC", "envoy"},
    Mark{"kube-probe/", "kubernetes"},
    Mark{"ELB-HealthChecker/", "aws-elb"},
    Mark{"Amazon-Route53-Health-Check-Service", "route53"},
    Mark{"GoogleHC/", "gcp"},
    Mark{"Load Balancer Agent", "azure"},
    Mark{"Prometheus/", "prometheus"},
    Mark{"Blackbox Exporter/", "blackbox"},
    Mark{"Blackbox-Exporter/", "blackbox"},
    Mark{"Consul Health Check", "consul"},
    Mark{"KeepAliveClient", "keepalived"},
    Mark{"Monit/", "monit"},
    Mark{"check_http/", "nagios"},
    Mark{"nginx", "nginx"},
    Mark{"Go-http-client/", "go"},  // Traefik, Caddy and many more
    Mark{"grpc-", "grpc"},
    Mark{"haproxy", "haproxy"},
    Mark{"HAProxy", "haproxy"},
    Mark{"Varnish", "varnish"},
    Mark{"curl/", "curl"},
    Mark{"Mozilla/", "browser"},
};

// Whom nobody waits for: an event for each of their visits would be noise.
bool is_person(std::string_view kind) { return kind == "other" || kind == "curl" || kind == "browser"; }

std::string text_of(std::string_view text) { return one_line(text, longest_text); }

std::uint64_t mix(std::uint64_t h, std::string_view text) {
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return h;
}

}  // namespace

std::string_view recognise(const ConsumerSigns& s) {
  if (!s.server_state.empty()) return "haproxy";
  if (!s.user_agent.empty()) {
    for (const Mark& mark : marks) {
      if (s.user_agent.starts_with(mark.begin)) return mark.kind;
    }
    return "other";
  }
  // Those that do not say who they are have habits: HAProxy sends no header at all, or "connection: close" alone;
  // Varnish Host and Connection; Apache asks for "*" or sends Host alone.
  if (s.headers == 0) return s.is_1_0 ? "haproxy" : "other";
  if (s.method == "OPTIONS" && s.target == "*") return "apache";
  if (s.headers == 1) return s.is_1_0 ? "apache" : "haproxy";
  if (s.headers == 2 && !s.is_1_0) return "varnish";
  return "other";
}

ConsumerBelief read_server_state(std::string_view text) {
  ConsumerBelief out;
  bool is_first = true;
  for (const std::string_view part : split(text.substr(0, 512), ';')) {
    const std::string_view word = trim(part);
    if (is_first) {
      const std::size_t space = word.find(' ');
      out.state = text_of(word.substr(0, space));
      if (space != std::string_view::npos) out.rank = text_of(trim(word.substr(space)));
      is_first = false;
      continue;
    }
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    if (key == "name") out.server = text_of(value);
    if (key == "node") out.node = text_of(value);
    if (key == "weight") out.weight = text_of(value);
  }
  return out;
}

std::uint64_t Consumers::key_of(const Sighting& s) {
  std::uint64_t h = 0xCBF29CE484222325ULL;
  for (const std::uint8_t byte : s.address.bytes) h = (h ^ byte) * 0x100000001B3ULL;
  return mix(mix(h, s.kind), s.path);
}

bool Consumers::is_it(const Entry& e, const Sighting& s) const {
  return e.is_used && e.address.bytes == s.address.bytes && e.consumer.kind == s.kind && e.consumer.path == s.path;
}

Consumers::Slot Consumers::see(const Sighting& s, Slot guess, Now now) {
  Slot slot = guess;
  if (slot == none || slot >= entries_.size() || !is_it(entries_[slot], s)) {
    const std::uint64_t key = key_of(s);
    const auto found = by_key_.find(key);
    slot = found != by_key_.end() && is_it(entries_[found->second], s) ? found->second : place_for(s, key, now);
  }
  SeenConsumer& c = entries_[slot].consumer;
  if (c.requests > 0) {
    const Duration gap = now.mono - c.last_at;
    // A pause, and what comes after an absence, say nothing of the rhythm.
    if (!c.is_lost) {
      c.interval = c.interval == Duration{} ? gap : c.interval + (gap - c.interval) / 8;
      c.longest = std::max(gap, c.longest - c.longest / 64);
    }
  }
  ++c.requests;
  c.last_at = now.mono;
  c.last_seen = now.wall;
  bool believes_else = false;
  if (!s.server_state.empty()) {
    ConsumerBelief belief = read_server_state(s.server_state);
    believes_else = !c.belief.state.empty() && belief.state != c.belief.state;
    if (believes_else) c.believed_before = c.belief.state;
    c.belief = std::move(belief);
  }
  const bool is_back = std::exchange(c.is_lost, false);
  if (c.requests == settled_after || (is_back && c.requests > settled_after)) {
    tell("consumer_seen", c, now.mono);
  } else if (believes_else && c.requests > settled_after) {
    tell("consumer_believes", c, now.mono);
  }
  return slot;
}

void Consumers::tell(const char* event, const SeenConsumer& consumer, Instant now) {
  if (!told_ || is_person(consumer.kind)) return;
  const auto earned = (now - may_tell_from_) / told_every;
  if (earned > 0) {
    may_tell_ = static_cast<unsigned>(std::min<long long>(most_told_at_once, may_tell_ + earned));
    may_tell_from_ = now;
  }
  if (may_tell_ == 0) {
    ++untold_;
    return;
  }
  --may_tell_;
  told_(event, consumer);
}

void Consumers::answered(Slot slot, int code, std::string_view word) {
  if (slot == none || slot >= entries_.size()) return;
  SeenConsumer& c = entries_[slot].consumer;
  c.last_code = code;
  if (c.last_word != word) c.last_word = text_of(word);
  // A page that is not there is no reason to remember who looked for it.
  if (code == 404 && c.requests == 1) forget(slot);
}

Consumers::Slot Consumers::place_for(const Sighting& s, std::uint64_t key, Now now) {
  // Two with one key share no entry: the elder goes.
  if (const auto other = by_key_.find(key); other != by_key_.end()) forget(other->second);
  if (by_key_.size() >= most) {
    Slot oldest = none;
    for (Slot i = 1; i < entries_.size(); ++i) {
      if (!entries_[i].is_used) continue;
      const auto rank = [&](Slot at) {
        const SeenConsumer& c = entries_[at].consumer;
        return std::pair(c.requests >= settled_after && !c.is_lost, c.last_at);
      };
      if (oldest == none || rank(i) < rank(oldest)) oldest = i;
    }
    forget(oldest);
    ++evicted_;
  }
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(entries_.size());
    entries_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Entry& e = entries_[slot];
  e = {};
  e.is_used = true;
  e.key = key;
  e.address = s.address;
  e.consumer.kind = s.kind;
  e.consumer.address = s.address.text();
  e.consumer.path = std::string(s.path);
  e.consumer.user_agent = text_of(s.user_agent);
  e.consumer.first_seen = now.wall;
  by_key_[key] = slot;
  return slot;
}

void Consumers::forget(Slot slot) {
  by_key_.erase(entries_[slot].key);
  entries_[slot] = {};
  free_.push_back(slot);
}

void Consumers::sweep(Instant now) {
  for (Slot i = 1; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    if (!e.is_used) continue;
    SeenConsumer& c = e.consumer;
    const Duration absence = now - c.last_at;
    if (absence > forgotten_after) {
      forget(i);
      continue;
    }
    const Duration patience =
        std::max(shortest_absence, absence_factor * std::max(c.interval, c.longest) + absence_extra);
    if (c.is_lost || absence <= patience) continue;
    c.is_lost = true;
    if (c.requests >= settled_after) tell("consumer_lost", c, now);
  }
}

std::vector<SeenConsumer> Consumers::list() const {
  std::vector<SeenConsumer> out;
  for (const Entry& e : entries_) {
    if (e.is_used) out.push_back(e.consumer);
  }
  std::stable_sort(out.begin(), out.end(), [](const SeenConsumer& a, const SeenConsumer& b) {
    const bool x = a.requests < settled_after;
    const bool y = b.requests < settled_after;
    return std::tie(x, a.kind, a.address, a.path) < std::tie(y, b.kind, b.address, b.path);
  });
  return out;
}

std::vector<std::pair<std::string, std::uint64_t>> Consumers::by_kind() const {
  std::map<std::string, std::uint64_t> counts;
  for (const Entry& e : entries_) {
    if (e.is_used && !e.consumer.is_lost && e.consumer.requests >= settled_after)
      ++counts[std::string(e.consumer.kind)];
  }
  return {counts.begin(), counts.end()};
}

std::string consumers_document(const Consumers& consumers, Now now) {
  JsonText out;
  out.begin_object();
  out.begin_array("consumers");
  for (const SeenConsumer& c : consumers.list()) {
    out.begin_object();
    out.field("kind", c.kind);
    out.field("address", c.address);
    out.field("path", c.path);
    out.field("user_agent", c.user_agent);
    out.field("requests", c.requests);
    out.field("interval_ms",
              c.requests >= Consumers::settled_after ? std::optional(milliseconds(c.interval)) : std::nullopt);
    out.field("longest_gap_ms", c.requests > 1 ? std::optional(milliseconds(c.longest)) : std::nullopt);
    out.field("first_seen", format_wall(c.first_seen));
    out.field("last_seen", format_wall(c.last_seen));
    out.field("age_ms", milliseconds(std::max(Duration{}, now.mono - c.last_at)));
    out.field("last_code", c.last_code != 0 ? std::optional(c.last_code) : std::nullopt);
    out.field("last_word", c.last_word.empty() ? std::nullopt : std::optional(c.last_word));
    out.field("is_lost", c.is_lost);
    if (c.belief.state.empty()) {
      out.field("believes", nullptr);
    } else {
      out.begin_object("believes");
      out.field("state", c.belief.state);
      out.field("rank", c.belief.rank);
      out.field("server", c.belief.server);
      out.field("node", c.belief.node);
      out.field("weight", c.belief.weight);
      out.end_object();
    }
    out.end_object();
  }
  out.end_array();
  out.field("evicted", consumers.evicted());
  out.field("events_dropped", consumers.untold());
  out.end_object();
  return out.take();
}

}  // namespace vital
