// The key table as Markdown, for docs/configuration.md and `vitald check-config --reference`; see keys.hpp.
#include <fmt/format.h>

#include "config/keys.hpp"

namespace vital::config {
namespace {

struct Heading {
  std::string_view section;
  std::string_view title;
};
constexpr Heading headings[] = {
    {"", "Top level"},
    {"node", "node"},
    {"listen", "listen"},
    {"listen.health", "listen.health"},
    {"listen.haproxy", "listen.haproxy"},
    {"listen.grpc", "listen.grpc"},
    {"listen.tls", "listen.health.tls, listen.grpc.tls"},
    {"listen.admin", "listen.admin"},
    {"overlays", "overlays"},
    {"log", "log"},
    {"journal", "journal"},
    {"workers", "workers"},
    {"shutdown", "shutdown"},
    {"output", "outputs, each"},
    {"output.file", "outputs, type: file"},
    {"output.keepalived", "outputs, type: keepalived"},
    {"output.keepalived.values", "outputs, type: keepalived, values"},
    {"output.haproxy", "outputs, type: haproxy"},
    {"output.pacemaker", "outputs, type: pacemaker"},
    {"output.exec", "outputs, type: exec"},
    {"output.webhook", "outputs, type: webhook"},
    {"output.consul", "outputs, type: consul"},
    {"output.etcd", "outputs, type: etcd"},
    {"output.tls", "outputs, tls of webhook, consul and etcd"},
    {"output.nginx", "outputs, type: nginx"},
    {"output.envoy", "outputs, type: envoy"},
    {"output.members", "outputs, members of nginx and envoy, each"},
    {"check", "checks.NAME, and defaults"},
    {"check.fall", "checks.NAME.fall, as a map"},
    {"check.flap", "checks.NAME.flap"},
    {"service", "services.NAME"},
    {"service.http_codes", "services.NAME.http_codes"},
    {"service.weights", "services.NAME.weights"},
    {"service.budget", "services.NAME.budget"},
    {"service.lb", "services.NAME.lb"},
    {"cluster", "cluster"},
    {"cluster.tls", "cluster.tls"},
    {"failover", "failover"},
    {"failover.brake", "failover.brake"},
    {"action", "failover.actions.NAME, beside the options of its type"},
    {"topology", "failover.topologies.NAME"},
    {"topology.step", "failover.topologies.NAME, each of fence, promote and move, as a map"},
};

std::string type_of(const Key& k) {
  if (!k.form.empty() && k.kind != Kind::choice) return std::string(k.form);
  switch (k.kind) {
    case Kind::text:
      return "text";
    case Kind::texts:
      return "list";
    case Kind::duration:
      return "duration";
    case Kind::integer:
      return fmt::format("{:.0f} to {:.0f}", k.min, k.max);
    case Kind::size:
      return "size";
    case Kind::number:
      return "number";
    case Kind::boolean:
      return "true or false";
    case Kind::labels:
      return "map of words";
    case Kind::section:
      return "map, see below";
    case Kind::choice: {
      std::string out;
      for (const std::string& c : choices_of(k)) out += (out.empty() ? "`" : ", `") + c + "`";
      return out;
    }
    case Kind::special:
      break;
  }
  return "text";
}

}  // namespace

std::string reference() {
  std::string out;
  for (const Heading& h : headings) {
    out += fmt::format("{}### {}\n\n| key | type | default | what and why |\n|---|---|---|---|\n",
                       out.empty() ? "" : "\n", h.title);
    for (const Key* k : keys_of(h.section)) {
      if (k->section != h.section) continue;
      out += fmt::format("| `{}` | {} | {} | {} |\n", k->name, type_of(*k), k->fallback, k->help);
    }
  }
  return out;
}

}  // namespace vital::config
