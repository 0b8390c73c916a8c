// The table; see keys.hpp. A range that would only be a guess is left out.
#include "config/keys.hpp"

#include "base/text.hpp"

namespace vital::config {
namespace {

constexpr double hour = 3600, day = 86400, year = 366 * day;

constexpr Key table[] = {
    // ---- top level
    {"", "node", Kind::section, "", "", "who this node is"},
    {"", "include", Kind::texts, "list of files or patterns", "none",
     "further files, beside this one unless absolute; their maps merge with these, a name written twice is refused"},
    {"", "listen", Kind::section, "", "", "where the agent answers"},
    {"", "profile", Kind::choice, "lenient | standard | strict", "lenient",
     "the defaults of every check's interval, timeout, retries, edge_interval, rise and fall"},
    {"", "defaults", Kind::section, "check options", "", "options for every check that does not say otherwise"},
    {"", "checks", Kind::special, "map of name to check", "required", "what is checked, and how"},
    {"", "services", Kind::special, "map of name to service", "one, `default`: all checks",
     "what the checks mean for what is asked about"},
    {"", "failover", Kind::section, "", "off", "which pairs and clusters are watched, see docs/failover.md"},
    {"", "log", Kind::section, "", "", "where events are written"},
    {"", "state_dir", Kind::text, "absolute path", "/var/lib/vitald",
     "the journal, and what lets a restart go on where it stopped"},
    {"", "overlays", Kind::section, "", "", "drain and maintenance by files"},
    {"", "journal", Kind::section, "", "", "the agent's memory: events and results, in state_dir"},
    {"", "module_path", Kind::texts, "list of absolute paths", "none",
     "where to look for check modules beside the agent's own; must belong to root and be writable by nobody else"},
    {"", "outputs", Kind::special, "list of outputs", "none",
     "who is told when something changes, see docs/outputs.md"},
    {"", "workers", Kind::section, "", "", "the processes that run blocking checks"},
    {"", "shutdown", Kind::section, "", "", "how the agent leaves"},

    {"node", "name", Kind::text, "", "${HOSTNAME}", "shown on every output"},
    {"node", "zone", Kind::text, "", "", "where it stands, e.g. an availability zone"},
    {"node", "labels", Kind::labels, "", "", "anything to know nodes by"},

    {"overlays", "spool", Kind::text, "absolute path, or off", "spool in state_dir",
     "a folder: while a file drain, maintenance, SERVICE.drain or SERVICE.maintenance is in it, that is in force"},

    // ---- listen
    {"listen", "health", Kind::section, "map, or a list of maps", "",
     "the endpoint load balancers ask; read-only. A list where addresses differ in what they show"},
    {"listen", "haproxy", Kind::section, "", "off", "HAProxy's agent-check"},
    {"listen", "grpc", Kind::section, "", "off", "the gRPC health checking protocol, grpc.health.v1"},
    {"listen", "admin", Kind::section, "", "", "the socket of vitalctl"},
    {"listen.health", "address", Kind::texts, "ADDRESS:PORT or absolute path, or a list", "127.0.0.1:9180",
     "numeric; 0.0.0.0 is every IPv4 address, [::] every IPv6 address (and IPv4, unless 0.0.0.0 with the same port is "
     "listed too), port 0 any free port; a path is a unix socket"},
    {"listen.health", "details", Kind::choice, "loopback | always | never | authorized", "loopback",
     "who sees more than the verdict; authorized: who brings the token or a client certificate"},
    {"listen.health", "token_file", Kind::text, "file", "none",
     "holds the token of `Authorization: Bearer TOKEN`, for details: authorized"},
    {"listen.health", "proxy_protocol", Kind::texts, "list of networks", "none",
     "whose connections begin with a PROXY header, e.g. [10.0.0.0/8]"},
    {"listen.health", "tls", Kind::section, "", "off",
     "HTTPS, TLS 1.2 at least; the files are read again when they change"},
    {"listen.health", "mode", Kind::special, "octal, quoted", "\"0660\"", "permissions of a unix socket"},
    {"listen.health", "group", Kind::text, "", "the agent's own", "group of a unix socket"},
    {"listen.tls", "certificate", Kind::text, "file", "required", "certificate and chain, PEM"},
    {"listen.tls", "key", Kind::text, "file", "required", "its private key, PEM, without a passphrase"},
    {"listen.tls", "client_ca", Kind::text, "file", "none", "clients must show a certificate of this authority"},
    {"listen.tls", "client", Kind::choice, "required | optional", "required",
     "with client_ca: whether who shows none is turned away, or is only not authorized"},
    {"listen.haproxy", "address", Kind::texts, "ADDRESS:PORT or absolute path, or a list", "required",
     "one line and close, for each connection"},
    {"listen.haproxy", "farewell", Kind::choice, "drain | ready | down | maint", "drain",
     "what is said while the agent stops (shutdown.drain): HAProxy keeps the last line it was told. ready leaves the "
     "server to HAProxy's own check"},
    {"listen.grpc", "address", Kind::texts, "ADDRESS:PORT or absolute path, or a list", "required",
     "Check and Watch; the service name is a service of ours, empty is the node"},
    {"listen.grpc", "tls", Kind::section, "", "off", "as of listen.health"},
    {"listen.admin", "socket", Kind::text, "absolute path", "/run/vitald/admin.sock", "at most 107 bytes long"},
    {"listen.admin", "mode", Kind::special, "octal, quoted", "\"0660\"", "its permissions"},
    {"listen.admin", "group", Kind::text, "", "the agent's own", "its group"},

    // ---- log, workers, shutdown
    {"log", "format", Kind::choice, "logfmt | json", "logfmt", "one event a line either way"},
    {"log", "file", Kind::text, "absolute path", "standard error", "reopened on SIGHUP"},
    {"journal", "enabled", Kind::boolean, "", "true", "false: only the latest events are kept, in memory"},
    {"journal", "max_size", Kind::special, "size", "256MiB",
     "of journal.db; beyond it the oldest results go first, then hours, then events; 1MiB to 1024GiB"},
    {"journal", "max_age", Kind::duration, "", "366d",
     "of events and of each check's hours; single results are kept 8 days at most", hour, 10 * year},
    {"workers", "max", Kind::integer, "", "8", "how many blocking checks may run at the same time", 1, 256},
    {"workers", "memory_mib", Kind::integer, "", "512",
     "MiB of data each worker may have; 0 = no limit. One that wants more ends, and its check says so", 0, 1048576},
    {"workers", "processes", Kind::integer, "", "0",
     "processes and threads the user of the workers may have, the agent's own included; 0 = no limit; no limit for "
     "root",
     0, 1000000},
    {"workers", "seccomp", Kind::choice, "off | log | enforce", "off",
     "system calls no check needs (ptrace, mount, bpf, keyctl, ...): written to the audit log, or the end of the "
     "worker"},
    {"shutdown", "drain", Kind::duration, "", "0s",
     "after SIGTERM every output says drain for this long, so that balancers go away first", 0, hour},
    {"shutdown", "leave", Kind::choice, "on_time | when_left", "on_time",
     "when_left: drain is the longest wait; the agent goes as soon as everybody has left whom it tells or sees asking"},

    // ---- outputs: what each has, then what its type has beside that
    {"output", "type", Kind::choice,
     "file | keepalived | haproxy | pacemaker | exec | webhook | consul | etcd | nginx | envoy", "required",
     "who is told, and how"},
    {"output", "name", Kind::text, "", "its type", "shown in status, log and metrics; each name once"},
    {"output", "service", Kind::text, "", "the node", "what is told of"},
    {"output", "interval", Kind::duration, "", "5s; exec, webhook 10s",
     "how often what the other side holds is read back and set right while nothing changes", 0.1, hour},
    {"output", "timeout", Kind::duration, "", "by type, 2s to 10s",
     "of one such look, the writing included; at most the interval", 0.05, 60},
    {"output", "on_stop", Kind::choice, "leave | pass | fail | withdraw", "leave",
     "what stands when the agent has stopped: what was told last, a pass, a fail, or nothing"},
    {"output.file", "path", Kind::text, "absolute path", "required", "replaced by rename, so never seen half written"},
    {"output.keepalived", "path", Kind::text, "absolute path", "required",
     "the `file` of a track_file; replaced by rename"},
    {"output.keepalived", "values", Kind::section, "", "", "the number for each thing that is told"},
    {"output.keepalived.values", "pass", Kind::integer, "whole number", "1", "works", -2147483647, 2147483647},
    {"output.keepalived.values", "warn", Kind::integer, "whole number", "1", "works, but somebody should look",
     -2147483647, 2147483647},
    {"output.keepalived.values", "fail", Kind::integer, "whole number", "0",
     "with `weight 0 reverse`: 0 and a missing file are dead", -2147483647, 2147483647},
    {"output.keepalived.values", "drain", Kind::integer, "whole number", "as fail", "an operator takes it out",
     -2147483647, 2147483647},
    {"output.keepalived.values", "maintenance", Kind::integer, "whole number", "as drain", "an operator works on it",
     -2147483647, 2147483647},

    {"output.haproxy", "sockets", Kind::texts, "list of paths or ADDRESS:PORT", "required",
     "runtime sockets, level admin; one for each HAProxy"},
    {"output.haproxy", "servers", Kind::texts, "list of BACKEND/SERVER", "required",
     "what this service is called there"},
    {"output.haproxy", "method", Kind::choice, "agent | state", "agent",
     "a failure is `agent down`, for which the server line needs agent-check; or `state maint`, which needs nothing"},
    {"output.haproxy", "weight", Kind::boolean, "", "true", "whether the weight is told, too"},
    {"output.pacemaker", "attribute", Kind::text, "", "#health-vitald",
     "its name begins with #health for Pacemaker to heed it"},
    {"output.pacemaker", "node", Kind::text, "", "the host's name", "this node, as `crm_node -n` names it"},
    {"output.pacemaker", "dampening", Kind::duration, "", "0s", "how long Pacemaker itself waits before it believes", 0,
     hour},
    {"output.pacemaker", "warn", Kind::choice, "green | yellow | red", "yellow",
     "green where the strategy is only-green, which would move everything for a warning"},
    {"output.pacemaker", "drain", Kind::choice, "green | yellow | red", "red", "drain and maintenance"},
    {"output.pacemaker", "healthy", Kind::choice, "green | delete", "green",
     "on pass; green, so that a node that never spoke can be told from a healthy one"},
    {"output.pacemaker", "program", Kind::text, "absolute path", "/usr/sbin/attrd_updater", "Pacemaker's own"},
    {"output.exec", "command", Kind::texts, "list: program and arguments", "required",
     "run when something else is to be told; ends with 0 if it was; never a shell"},
    {"output.exec", "verify", Kind::texts, "list: program and arguments", "none",
     "run every interval; ends with 0 if the target holds what the environment says, else command is run again"},
    {"output.webhook", "url", Kind::text, "http:// or https://", "required", "gets a POST for each change"},
    {"output.webhook", "secret_file", Kind::text, "file", "unsigned",
     "what the HMAC-SHA256 of each message is made with"},
    {"output.webhook", "give_up_after", Kind::duration, "", "24h", "an older message is dropped", 1, 30 * day},
    {"output.webhook", "tls", Kind::section, "", "", "for https"},
    {"output.consul", "url", Kind::text, "http:// or https://", "http://127.0.0.1:8500", "Consul's local agent"},
    {"output.consul", "check_id", Kind::text, "", "required", "of the TTL check, as in service:web"},
    {"output.consul", "token_file", Kind::text, "file", "none", "an ACL token that may write the check"},
    {"output.consul", "tls", Kind::section, "", "", "for https"},
    {"output.etcd", "endpoints", Kind::texts, "list of URLs", "http://127.0.0.1:2379",
     "the first that answers is used"},
    {"output.etcd", "key", Kind::text, "", "required", "as in /health/web/n1"},
    {"output.etcd", "ttl", Kind::duration, "", "15s", "the key goes away so long after the agent has", 2, hour},
    {"output.etcd", "user", Kind::text, "", "none", "with etcd's own authentication"},
    {"output.etcd", "password_file", Kind::text, "file", "none", "of the user"},
    {"output.etcd", "tls", Kind::section, "", "", "for https"},
    {"output.tls", "ca", Kind::text, "file", "the system's", "authorities to trust, PEM"},
    {"output.tls", "certificate", Kind::text, "file", "none", "of ours, PEM"},
    {"output.tls", "key", Kind::text, "file", "none", "its private key, PEM"},
    {"output.nginx", "path", Kind::text, "absolute path", "required", "include it in the upstream block"},
    {"output.nginx", "members", Kind::special, "list of {server, service}", "required",
     "a server line each, with its parameters; it is `down` while its service fails"},
    {"output.nginx", "reload", Kind::texts, "list: program and arguments", "/usr/sbin/nginx -s reload",
     "run when the file has changed"},
    {"output.envoy", "path", Kind::text, "absolute path", "required", "of the EDS file, named *.json or *.yaml there"},
    {"output.envoy", "cluster", Kind::text, "", "required", "the name of the cluster, or its service_name"},
    {"output.envoy", "members", Kind::special, "list of {server, service}", "required", "server: ADDRESS:PORT"},
    {"output.members", "server", Kind::text, "", "required", "as the balancer writes it"},
    {"output.members", "service", Kind::text, "", "the output's own", "which service says whether it works"},

    // ---- checks and defaults
    {"check", "type", Kind::text, "", "required", "which module; `vitald modules` lists them"},
    {"check", "interval", Kind::duration, "", "profile", "from the start of one probe to the start of the next", 0.01,
     day},
    {"check", "timeout", Kind::duration, "", "profile", "of one attempt; at most the interval", 0.001, hour},
    {"check", "retries", Kind::integer, "", "profile",
     "further attempts before a probe counts as failed; they must fit into the interval", 0, 20},
    {"check", "retry_delay", Kind::duration, "", "1s, at most a quarter of the timeout",
     "before a retry a random wait up to this", 0, hour},
    {"check", "edge_interval", Kind::duration, "", "profile",
     "the interval while a change is pending; at most the interval", 0.01, day},
    {"check", "rise", Kind::integer, "", "profile", "good results in a row until a failed check passes again", 1, 1000},
    {"check", "fall", Kind::special, "whole number, or {bad: N, of: M}", "profile",
     "bad results in a row until a check fails, or N bad ones among the last M (at most 64)", 1, 1000},
    {"check", "warn_after", Kind::duration, "", "never", "slower than this is a warning", 0.001, hour},
    {"check", "max_age", Kind::duration, "", "3 intervals and a timeout",
     "without a usable result for this long the check is stale", 0.01, 30 * day},
    {"check", "critical", Kind::boolean, "", "true", "false: can make its services warn, never fail"},
    {"check", "scope", Kind::choice, "local | shared", "local",
     "shared: every node has this trouble at once, so it makes services warn instead of taking all nodes out"},
    {"check", "depends_on", Kind::texts, "list of checks", "none",
     "what explains a failure of this one; a failed dependency is shown as the cause"},
    {"check", "start_delay", Kind::duration, "", "0s", "the first probe comes this much later", 0, hour},
    {"check", "enabled", Kind::boolean, "", "true",
     "false: as if it were not there, but its options are still checked"},
    {"check", "mode", Kind::choice, "active | shadow", "active", "shadow: judged and recorded, never counted"},
    {"check", "flap", Kind::section, "", "", "when a check that keeps falling is held down"},
    {"check", "labels", Kind::labels, "", "", "shown and exported"},
    {"check", "description", Kind::text, "", "", "for people"},
    {"check.fall", "bad", Kind::integer, "", "required", "this many bad results", 1, 64},
    {"check.fall", "of", Kind::integer, "", "required", "among the last so many", 1, 64},
    {"check.flap", "suppress", Kind::number, "", "3", "each fall adds 1 to a penalty; from here on it is flapping", 0.1,
     100},
    {"check.flap", "reuse", Kind::number, "", "1.5", "below this it is not any more; less than suppress", 0.01, 100},
    {"check.flap", "half_life", Kind::duration, "", "10 intervals", "the penalty halves in this time; 0s = off", 0,
     day},

    // ---- services
    {"service", "all", Kind::special, "list of members", "", "passes if all pass; a list instead of a map means this"},
    {"service", "any", Kind::special, "list of members", "", "passes if one passes"},
    {"service", "quorum", Kind::special, "whole number", "", "with `of`: passes if so many pass"},
    {"service", "of", Kind::special, "list of members", "", "the members of a quorum"},
    {"service", "weighted", Kind::special, "map of member to weight", "",
     "with `pass`, `warn`: by the sum of the weights that pass"},
    {"service", "pass", Kind::special, "whole number", "required with `weighted`", "the sum that passes"},
    {"service", "warn", Kind::special, "whole number", "none", "the sum that still warns; less than pass"},
    {"service", "description", Kind::text, "", "", "for people"},
    {"service", "on_shared_failure", Kind::choice, "warn | fail", "warn", "what a failed shared check makes of it"},
    {"service", "on_unknown", Kind::choice, "fail | warn | pass", "fail", "what a stale check counts as"},
    {"service", "startup_timeout", Kind::duration, "", "60s",
     "for this long after the start a check without a result is only pending", 0, day},
    {"service", "http_codes", Kind::section, "", "", "the status code of each answer"},
    {"service", "weights", Kind::section, "", "", "what balancers that weigh are told"},
    {"service", "slow_start", Kind::duration, "", "0s", "after a recovery the weight grows from nothing over this time",
     0, day},
    {"service", "budget", Kind::section, "", "unlimited", "how often it may be taken out of rotation"},
    {"service", "lb", Kind::section, "", "none",
     "how the balancer in front is set; for `vitald check-config --timing` only"},
    {"service", "detect_within", Kind::duration, "", "none",
     "the time to fail that was promised to somebody; --timing says if it cannot be kept", 0.001, year},
    {"service.http_codes", "warn", Kind::integer, "", "200", "works, but somebody should look; 429 for Consul", 200,
     599},
    {"service.http_codes", "fail", Kind::integer, "", "503", "does not work, or nobody knows", 400, 599},
    {"service.http_codes", "drain", Kind::integer, "", "503", "drain and maintenance", 400, 599},
    {"service.weights", "warn", Kind::integer, "percent", "100",
     "HAProxy needs `weight 100` on the server line for anything below 100", 0, 100},
    {"service.budget", "ejections", Kind::integer, "", "unlimited", "at most so many falls to fail", 1, 1000},
    {"service.budget", "window", Kind::duration, "", "required with ejections or hold_down", "within this time", 1,
     30 * day},
    {"service.budget", "min_uptime", Kind::duration, "", "0s", "after a recovery not again before this", 0, day},
    {"service.budget", "hold_down", Kind::duration, "", "0s",
     "the second fall within the window lasts at least this long, each further one twice as long", 0, day},
    {"service.lb", "interval", Kind::duration, "", "required", "between its probes", 0.001, hour},
    {"service.lb", "timeout", Kind::duration, "", "required", "of its probe", 0.001, hour},
    {"service.lb", "fall", Kind::integer, "", "1", "failed probes until it takes the node out", 1, 1000},
    {"service.lb", "rise", Kind::integer, "", "1", "good probes until it is back", 1, 1000},

    // ---- failover
    {"failover", "mode", Kind::choice, "observe | advise | assist | auto", "observe",
     "what the agent may do about a failover; this version only watches"},
    {"failover", "topologies", Kind::special, "map of name to topology", "required", "servers of which one is primary"},
    {"topology", "members", Kind::special, "list of checks, or map of name to check", "required",
     "the check that looks at each server directly, and says its role"},
    {"topology", "endpoint", Kind::text, "check", "none",
     "a check that goes the way clients go, by the name or address that moves: a failover is over when it is good "
     "again"},
    {"topology", "max_lag", Kind::duration, "", "any", "a standby further behind is called no candidate", 0, 30 * day},
};

}  // namespace

std::span<const Key> all_keys() { return table; }

std::vector<const Key*> keys_of(std::string_view section) {
  std::vector<const Key*> out;
  const bool is_defaults = section == "defaults";
  // What every output has is written in the same map as what its type has.
  if (section.starts_with("output.") && section.find('.', 7) == std::string_view::npos && section != "output.tls" &&
      section != "output.members")
    out = keys_of("output");
  for (const Key& k : table) {
    if (k.section != (is_defaults ? "check" : section) || (is_defaults && is_of_one_check(k.name))) continue;
    out.push_back(&k);
  }
  return out;
}

bool is_of_one_check(std::string_view key) {
  return key == "type" || key == "depends_on" || key == "enabled" || key == "description";
}

std::vector<std::string> choices_of(const Key& key) {
  std::vector<std::string> out;
  for (const std::string_view part : split(key.form, '|')) out.emplace_back(trim(part));
  return out;
}

}  // namespace vital::config
