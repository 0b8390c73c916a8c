// The types of outputs, one function each; see output_targets.hpp.
#include "config/output_targets.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "config/files.hpp"

namespace vital::config {
namespace {

using namespace std::chrono_literals;

std::string needed(const Section& s, std::string_view key, std::string_view example) {
  const auto text = s.text(key);
  if (text) return *text;
  if (!s.has(key)) s.problems().add(s.mark(), s.path_of(key), fmt::format("is missing; write {}: {}", key, example));
  return {};
}

std::vector<std::string> needed_texts(const Section& s, std::string_view key, std::string_view example) {
  auto texts = s.texts(key).value_or(std::vector<std::string>{});
  if (!s.has(key)) {
    s.problems().add(s.mark(), s.path_of(key), fmt::format("is missing; write {}: [{}]", key, example));
  } else if (texts.empty() && s.get(key) != nullptr) {
    s.complain(key, fmt::format("is empty; write at least one, as in [{}]", example));
  }
  return texts;
}

std::string needed_path(const Section& s, std::string_view example) {
  const std::string path = needed(s, "path", example);
  if (!path.empty() && (path.front() != '/' || path.back() == '/'))
    s.complain("path", fmt::format("'{}' is no absolute path of a file; write it from /", one_line(path, 200)));
  return path;
}

// A program is started by its path: there is no shell and no search.
void demand_program(const Section& s, std::string_view key, const std::vector<std::string>& command) {
  if (!command.empty() && !command.front().starts_with('/'))
    s.complain(key, fmt::format("'{}' is no absolute path; write the program's, as in /usr/local/bin/tell",
                                one_line(command.front(), 100)));
}

bool is_url(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.starts_with(scheme) && text.size() > scheme.size() &&
        text.find_first_of(" \t\r\n\"'<>") == std::string::npos)
      return true;
  }
  return false;
}

HttpTarget read_http(const Section& s, std::string_view key, std::vector<std::string> bases, const Context& cx) {
  HttpTarget out;
  for (std::string& base : bases) {
    const std::size_t authority = base.find("://") == std::string::npos ? 0 : base.find("://") + 3;
    const std::size_t path = base.find('/', authority);
    if (!base.empty() && !is_url(base)) {
      s.complain(key, fmt::format("'{}' is no URL; write it from http:// or https://", one_line(base, 100)));
    } else if (base.substr(0, path).find('@', authority) != std::string::npos) {
      s.complain(key, "has a user name or password in it; what is secret stands in a file of its own");
    }
    if (key != "url" || s.path().empty()) {
      while (base.ends_with('/')) base.pop_back();
    }
    out.bases.push_back(std::move(base));
  }
  const Section tls = s.section("tls", "output.tls");
  for (const auto& [name, to] :
       {std::pair("ca", &out.ca), std::pair("certificate", &out.certificate), std::pair("key", &out.key)}) {
    const auto written = tls.text(name);
    if (!written) continue;
    *to = find_file(*written, cx.problems.directory_of(tls.mark()), cx.environment);
    std::string why;
    if (!read_file(*to, 1024 * 1024, &why)) tls.complain(name, fmt::format("{} {}", *to, why));
  }
  if (tls.is_map() && out.certificate.empty() != out.key.empty())
    tls.complain(out.key.empty() ? "certificate" : "key", "needs the other of certificate and key, too");
  return out;
}

std::string read_secret(const Section& s, std::string_view key, const Context& cx) {
  const Node* n = s.get(key);
  if (n == nullptr) return {};
  auto secret = read_secret_file(*n, s.path_of(key), cx);
  return secret ? std::move(secret->text) : std::string();
}

std::vector<OutputMember> read_members(const Section& s, const Plan& plan, const Context& cx) {
  std::vector<OutputMember> out;
  const Node* n = s.get("members");
  if (n == nullptr) {
    if (!s.has("members"))
      s.problems().add(s.mark(), s.path_of("members"),
                       "is missing; write members: [{server: \"10.0.0.11:8080\", service: web1}]");
    return out;
  }
  if (!n->is_list() || n->items.empty()) {
    s.complain("members", "is no list, or an empty one; write [{server: \"10.0.0.11:8080\", service: web1}]");
    return out;
  }
  for (std::size_t i = 0; i < n->items.size(); ++i) {
    const Section member(cx.problems, n->items[i], fmt::format("{}[{}]", s.path_of("members"), i), "output.members");
    if (!member.is_map()) continue;
    OutputMember m{needed(member, "server", "10.0.0.11:8080"), read_service_name(member, plan, "service")};
    if (m.server.find_first_of(";{}#\"'\\\r\n") != std::string::npos)
      member.complain("server",
                      "holds a character that ends a line of the balancer's; write ADDRESS:PORT and its parameters");
    out.push_back(std::move(m));
  }
  return out;
}

// ---- one function a type

OutputTarget read_file_output(const Section& s, const Plan&, const Context&) {
  return FileOutput{needed_path(s, "/run/vitald/snapshot.json")};
}

OutputTarget read_keepalived(const Section& s, const Plan&, const Context&) {
  KeepalivedOutput out;
  out.path = needed_path(s, "/run/vitald-keepalived/web");
  const Section values = s.section("values", "output.keepalived.values");
  const auto number = [&](Told t) { return values.integer(name(t)); };
  const std::int64_t pass = number(Told::pass).value_or(1), warn = number(Told::warn).value_or(1);
  const std::int64_t fail = number(Told::fail).value_or(0), drain = number(Told::drain).value_or(fail);
  const std::int64_t maintenance = number(Told::maintenance).value_or(drain);
  out.values = {std::to_string(pass), std::to_string(warn), std::to_string(fail), std::to_string(drain),
                std::to_string(maintenance)};
  if (pass == fail)
    values.problems().add(values.is_map() ? values.mark() : s.mark(), s.path_of("values"),
                          fmt::format("pass and fail are both {}; write two numbers", pass));
  return out;
}

OutputTarget read_haproxy(const Section& s, const Plan&, const Context&) {
  HaproxyOutput out;
  out.sockets = needed_texts(s, "sockets", "/run/haproxy/admin.sock");
  for (const std::string& socket : out.sockets) {
    if (socket.starts_with('/') ? socket.size() > 107 : socket.rfind(':') == std::string::npos)
      s.complain("sockets", fmt::format("'{}' is no socket; write a path of at most 107 bytes, or ADDRESS:PORT",
                                        one_line(socket, 120)));
  }
  out.servers = needed_texts(s, "servers", "web/web1");
  for (const std::string& server : out.servers) {
    // It becomes part of a command there.
    const bool is_good =
        std::count(server.begin(), server.end(), '/') == 1 && !server.starts_with('/') && !server.ends_with('/') &&
        server.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-/") ==
            std::string::npos;
    if (!is_good)
      s.complain("servers", fmt::format("'{}' is no server of HAProxy; write BACKEND/SERVER", one_line(server, 100)));
  }
  out.is_by_agent = s.choice("method").value_or("agent") == "agent";
  out.is_weighed = s.boolean("weight").value_or(true);
  return out;
}

OutputTarget read_pacemaker(const Section& s, const Plan&, const Context& cx) {
  PacemakerOutput out;
  out.attribute = s.text("attribute").value_or("#health-vitald");
  if (!out.attribute.starts_with("#health"))
    s.complain("attribute", fmt::format("'{}' does not begin with #health, so Pacemaker would not heed it; write {}",
                                        one_line(out.attribute, 80), "\"#health-vitald\""));
  out.node = s.text("node").value_or(cx.environment("HOSTNAME").value_or("localhost"));
  out.dampening = s.duration("dampening").value_or(Duration{});
  const std::string healthy = s.choice("healthy").value_or("green") == "delete" ? "" : "green";
  const std::string drain = s.choice("drain").value_or("red");
  out.values = {healthy, s.choice("warn").value_or("yellow"), "red", drain, drain};
  if (out.values[1] == "green") out.values[1] = healthy;
  out.program = s.text("program").value_or("/usr/sbin/attrd_updater");
  demand_program(s, "program", {out.program});
  return out;
}

OutputTarget read_exec(const Section& s, const Plan&, const Context&) {
  ExecOutput out;
  out.command = needed_texts(s, "command", "/usr/local/bin/tell");
  out.verify = s.texts("verify").value_or(std::vector<std::string>{});
  demand_program(s, "command", out.command);
  demand_program(s, "verify", out.verify);
  return out;
}

OutputTarget read_webhook(const Section& s, const Plan&, const Context& cx) {
  WebhookOutput out;
  out.http = read_http(s, "url", {needed(s, "url", "https://alerts.example.jp/hook")}, cx);
  out.secret = read_secret(s, "secret_file", cx);
  out.give_up_after = s.duration("give_up_after").value_or(out.give_up_after);
  return out;
}

OutputTarget read_consul(const Section& s, const Plan&, const Context& cx) {
  ConsulOutput out;
  out.http = read_http(s, "url", {s.text("url").value_or("http://127.0.0.1:8500")}, cx);
  out.check_id = needed(s, "check_id", "service:web");
  out.token = read_secret(s, "token_file", cx);
  return out;
}

OutputTarget read_etcd(const Section& s, const Plan&, const Context& cx) {
  EtcdOutput out;
  auto endpoints = s.texts("endpoints").value_or(std::vector<std::string>{"http://127.0.0.1:2379"});
  if (endpoints.empty()) s.complain("endpoints", "is empty; write at least one, as in [http://127.0.0.1:2379]");
  out.http = read_http(s, "endpoints", std::move(endpoints), cx);
  out.key = needed(s, "key", "/health/web/n1");
  out.ttl = s.duration("ttl").value_or(out.ttl);
  out.user = s.text("user").value_or("");
  out.password = read_secret(s, "password_file", cx);
  if (out.user.empty() == s.has("password_file"))
    s.complain(out.user.empty() ? "password_file" : "user", "needs the other of user and password_file, too");
  if (s.duration("interval").value_or(0s) * 2 > out.ttl)
    s.complain("ttl", fmt::format("{} is less than two intervals, so the key would come and go; write more",
                                  format_duration(out.ttl)));
  return out;
}

OutputTarget read_nginx(const Section& s, const Plan& plan, const Context& cx) {
  NginxOutput out;
  out.path = needed_path(s, "/etc/nginx/vitald/web.conf");
  out.members = read_members(s, plan, cx);
  out.reload = s.texts("reload").value_or(std::vector<std::string>{"/usr/sbin/nginx", "-s", "reload"});
  demand_program(s, "reload", out.reload);
  return out;
}

OutputTarget read_envoy(const Section& s, const Plan& plan, const Context& cx) {
  EnvoyOutput out;
  out.path = needed_path(s, "/var/lib/vitald-envoy/web.json");
  out.cluster = needed(s, "cluster", "web");
  out.members = read_members(s, plan, cx);
  for (const OutputMember& m : out.members) {
    const std::size_t colon = m.server.rfind(':');
    const bool is_good = colon != std::string::npos && colon > 0 && colon + 1 < m.server.size() &&
                         m.server.size() - colon <= 6 &&
                         m.server.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
                         std::stoul(m.server.substr(colon + 1)) <= 65535;
    if (!is_good && !m.server.empty())
      s.complain("members", fmt::format("'{}' is no ADDRESS:PORT", one_line(m.server, 80)));
  }
  return out;
}

}  // namespace

const std::map<std::string_view, OutputType>& output_types() {
  using Words = std::set<std::string_view>;
  static const Words all{"leave", "pass", "fail", "withdraw"}, words{"leave", "pass", "fail"}, only{"leave"};
  static const std::map<std::string_view, OutputType> table{
      {"file", {"output.file", read_file_output, {"leave", "withdraw"}, 5s, 2s}},
      {"keepalived", {"output.keepalived", read_keepalived, all, 5s, 2s}},
      {"haproxy", {"output.haproxy", read_haproxy, words, 5s, 2s}},
      {"pacemaker", {"output.pacemaker", read_pacemaker, all, 5s, 5s}},
      {"exec", {"output.exec", read_exec, words, 10s, 10s}},
      {"webhook", {"output.webhook", read_webhook, only, 10s, 10s}},
      {"consul", {"output.consul", read_consul, words, 5s, 3s}},
      {"etcd", {"output.etcd", read_etcd, {"leave", "fail", "withdraw"}, 5s, 3s}},
      {"nginx", {"output.nginx", read_nginx, only, 5s, 5s}},
      {"envoy", {"output.envoy", read_envoy, only, 5s, 2s}},
  };
  return table;
}

std::string read_service_name(const Section& s, const Plan& plan, std::string_view key) {
  const auto written = s.text(key);
  if (!written) return {};
  if (!plan.find_service(*written)) {
    std::vector<std::string> names;
    for (const ServicePlan& each : plan.services) names.push_back(each.name);
    s.complain(key, fmt::format("there is no service '{}'{}", one_line(*written, 64), suggestion(*written, names)));
  }
  return *written;
}

}  // namespace vital::config
