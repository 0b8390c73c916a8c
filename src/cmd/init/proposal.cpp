// See proposal.hpp.
#include "cmd/init/proposal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/text.hpp"

namespace vital::init {
namespace {

using cmd::ListeningSocket;

constexpr std::size_t most_checks = 64;
constexpr std::size_t most_others = 32;

enum class What {
  skipped,
  unknown,
  http,
  etcd,
  postgres,
  mysql,
  ldap,
  redis,
  sentinel,
  memcached,
  smtp,
  imap,
  pop3,
  dns,
  pgbouncer
};

struct ByProgram {
  std::string_view program;  // as /proc/PID/comm has it: 15 characters at most
  What what;
};
constexpr ByProgram programs[] = {
    {"nginx", What::http},
    {"apache2", What::http},
    {"httpd", What::http},
    {"lighttpd", What::http},
    {"caddy", What::http},
    {"varnishd", What::http},
    {"etcd", What::etcd},
    {"postgres", What::postgres},
    {"mariadbd", What::mysql},
    {"mysqld", What::mysql},
    {"slapd", What::ldap},
    {"redis-server", What::redis},
    {"valkey-server", What::redis},
    {"redis-sentinel", What::sentinel},
    {"memcached", What::memcached},
    {"master", What::smtp},
    {"exim4", What::smtp},
    {"dovecot", What::imap},
    {"unbound", What::dns},
    {"named", What::dns},
    {"dnsmasq", What::dns},
    {"pgbouncer", What::pgbouncer},
    {"vitald", What::skipped},
    {"systemd", What::skipped},
    {"systemd-resolve", What::skipped},
    {"sshd", What::skipped},
    {"cupsd", What::skipped},
    {"rpcbind", What::skipped},
};

struct ByPort {
  std::uint16_t port;
  What what;
};
constexpr ByPort ports[] = {
    {22, What::skipped},    {9180, What::skipped},   {9181, What::skipped},    {80, What::http},
    {443, What::http},      {8080, What::http},      {8443, What::http},       {2379, What::etcd},
    {5432, What::postgres}, {3306, What::mysql},     {389, What::ldap},        {636, What::ldap},
    {6379, What::redis},    {26379, What::sentinel}, {11211, What::memcached}, {25, What::smtp},
    {465, What::smtp},      {587, What::smtp},       {143, What::imap},        {993, What::imap},
    {110, What::pop3},      {995, What::pop3},       {53, What::dns},          {6432, What::pgbouncer},
};

// Ports of theirs on which something else is spoken.
bool is_side_door(What what, std::uint16_t port) {
  return (what == What::mysql && port == 33060) || (what == What::etcd && port == 2380) ||
         (what == What::dns && (port == 853 || port == 953 || port == 8953));
}

What recognise(const ListeningSocket& s) {
  for (const auto& [program, what] : programs) {
    if (s.program != program) continue;
    if (is_side_door(what, s.port)) return What::skipped;
    // One program with several protocols: the port tells which.
    if (s.program == "dovecot" && (s.port == 110 || s.port == 995)) return What::pop3;
    if (s.program == "master" && s.port != 25 && s.port != 465 && s.port != 587) return What::unknown;
    return what;
  }
  for (const auto& [port, what] : ports) {
    if (s.port == port) return what;
  }
  return What::unknown;
}

std::string host_of(const ListeningSocket& s) {
  if (s.is_any) return "127.0.0.1";
  return s.address.text();
}
std::string host_in_url(const ListeningSocket& s) {
  return s.is_any || s.address.is_v4() ? host_of(s) : "[" + host_of(s) + "]";
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::vector<std::string> login(const std::string& name, const std::string& user) {
  return {"user: " + user,
          fmt::format("# password_file: {}.password   # a file with the password, mode 0600, beside this one", name)};
}

ProposedCheck check_of(What what, const ListeningSocket& s) {
  ProposedCheck c;
  const std::string at = fmt::format("host: {}", quoted(host_of(s)));
  const std::string port = fmt::format("port: {}", s.port);
  const auto named = [&](const char* name, std::vector<std::string> lines) {
    c.name = name;
    c.type = name;
    c.lines = std::move(lines);
  };
  const auto with_login = [&](const char* name, const std::string& user) {
    named(name, {at, port});
    for (std::string& line : login(name, user)) c.lines.push_back(std::move(line));
  };
  switch (what) {
    case What::http: {
      const bool is_tls = s.port == 443 || s.port == 8443;
      c.name = s.program.empty() ? "web" : s.program;
      c.type = "http";
      c.lines = {fmt::format("url: \"{}://{}:{}/\"", is_tls ? "https" : "http", host_in_url(s), s.port),
                 "expect: {status: 200-399}   # better: a page that asks the application, and a text it must contain"};
      if (is_tls) c.lines.emplace_back("tls: {mode: require}       # better: mode verify with server_name");
      break;
    }
    case What::etcd:
      c.name = "etcd";
      c.type = "http";
      c.lines = {fmt::format("url: \"http://{}:{}/health\"", host_in_url(s), s.port),
                 "expect: {body: {json: {pointer: /health, equals: \"true\"}}}"};
      break;
    case What::postgres:
      with_login("postgres", "vitald");
      c.lines.emplace_back("database: postgres          # better: the application's, and a query it makes");
      break;
    case What::mysql:
      with_login("mysql", "vitald");
      break;
    case What::ldap:
      named("ldap",
            {fmt::format("uri: \"{}://{}:{}\"", s.port == 636 ? "ldaps" : "ldap", host_in_url(s), s.port),
             "# search: {base: \"ou=people,dc=example,dc=jp\", min_entries: 1}   # an empty directory answers, too"});
      break;
    case What::redis:
      named("redis",
            {at, port, "# password_file: redis.password   # if it wants one: a file, mode 0600, beside this one"});
      break;
    case What::sentinel:
      c.name = "sentinel";
      c.type = "tcp";
      c.lines = {at, port, "send: PING\\r\\n", "expect: +PONG"};
      break;
    case What::memcached:
      named("memcached", {at, port});
      break;
    case What::smtp:
      named("smtp", {at, port});
      if (s.port == 465) c.lines.emplace_back("tls: {mode: require}");
      break;
    case What::imap:
    case What::pop3:
      named(what == What::imap ? "imap" : "pop3", {at, port});
      if (s.port == 993 || s.port == 995) c.lines.emplace_back("tls: {mode: require}");
      break;
    case What::dns:
      named("dns", {at, port, "name: localhost             # better: a name your application looks up"});
      break;
    case What::pgbouncer:
      with_login("pgbouncer", "vitald");
      break;
    case What::skipped:
    case What::unknown:
      break;
  }
  c.because =
      fmt::format("{} listens on {}", s.pid == 0 ? "somebody" : fmt::format("{} (pid {})", s.program, s.pid), s.text());
  return c;
}

// As names of checks are written: they begin with a letter or a digit.
std::string clean(const std::string& name) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  std::string out;
  for (const char c : name) {
    if (out.empty() && !is_word(c)) continue;
    out += is_word(c) || c == '-' || c == '_' || c == '.' ? c : '-';
  }
  return out.empty() ? "web" : out.substr(0, 56);
}

}  // namespace

Proposal propose(std::vector<ListeningSocket> sockets) {
  // One check a program and port: who listens on every address is asked on this host's own.
  std::stable_sort(sockets.begin(), sockets.end(), [](const ListeningSocket& a, const ListeningSocket& b) {
    return std::tuple(a.port, !a.address.is_loopback(), !a.is_any) <
           std::tuple(b.port, !b.address.is_loopback(), !b.is_any);
  });
  Proposal out;
  std::set<std::pair<std::string, std::uint16_t>> seen;
  std::set<std::string> names;
  for (const ListeningSocket& s : sockets) {
    if (!seen.emplace(s.program, s.port).second) continue;
    const What what = recognise(s);
    if (what == What::skipped) continue;
    if (what == What::unknown || out.checks.size() == most_checks) {
      if (out.others.size() < most_others)
        out.others.push_back(
            fmt::format("{} ({})", s.text(), s.program.empty() ? "not known" : one_line(s.program, 32)));
      continue;
    }
    ProposedCheck c = check_of(what, s);
    c.name = clean(c.name);
    if (!names.insert(c.name).second) {
      c.name += fmt::format("-{}", s.port);
      if (!names.insert(c.name).second) continue;
    }
    out.checks.push_back(std::move(c));
  }
  return out;
}

std::string to_yaml(const Proposal& proposal, const std::string& file) {
  std::string out = fmt::format(
      "# {0}: written by vitalctl init from what listens on this host. Read it, and complete what begins with '# '.\n"
      "# After a change: vitald check-config -c {0} && systemctl reload vitald. Every key: man vitald.yaml\n\n"
      "listen:\n"
      "  health: {{address: \"127.0.0.1:9180\"}}       # for balancers on other hosts: 0.0.0.0:9180\n"
      "  # haproxy: {{address: \"0.0.0.0:9181\"}}      # agent-check\n\n"
      "profile: lenient                            # lenient | standard | strict: how soon a failure is believed\n\n"
      "checks:\n"
      "  disk:\n"
      "    type: disk\n"
      "    path: /\n"
      "  memory:\n"
      "    type: memory\n"
      "    critical: false                         # warns at most\n",
      file);
  for (const ProposedCheck& c : proposal.checks) {
    out += fmt::format("\n  # {}\n  {}:\n    type: {}\n", c.because, c.name, c.type);
    for (const std::string& line : c.lines) out += "    " + line + "\n";
  }
  if (!proposal.others.empty()) {
    out +=
        "\n  # These listen, too. If the application needs one: {type: tcp, address: \"HOST:PORT\"}, or a deeper "
        "check.\n";
    for (const std::string& other : proposal.others) out += "  #   " + other + "\n";
  }
  out +=
      "\n# Without services there is one, default, that needs all checks. Balancers may ask for others by name: "
      "/health/web\n"
      "# services:\n"
      "#   web: {all: [app, db]}\n";
  return out;
}

}  // namespace vital::init
