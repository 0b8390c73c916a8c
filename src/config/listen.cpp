// Who the node is, where the agent listens, where it logs.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/files.hpp"

namespace vital::config {
namespace {

constexpr std::size_t longest_socket_path = 107;
constexpr std::size_t longest_pem = 1024 * 1024;
constexpr std::size_t longest_token = 512;
constexpr std::size_t strong_token = 16;

std::optional<unsigned> number_up_to(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > most) return {};
  return value;
}

bool is_v4(const std::string& text) {
  in_addr a{};
  return inet_pton(AF_INET, text.c_str(), &a) == 1;
}

bool is_v6(const std::string& text) {
  in6_addr a{};
  return inet_pton(AF_INET6, text.c_str(), &a) == 1;
}

// Empty, or what is wrong with it and what to write instead.
std::string complaint_about_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string host = colon == std::string::npos ? text : text.substr(0, colon);
  if (is_v6(text)) return fmt::format("has no port, or no brackets; write [{}]:9180", text);
  if (colon == std::string::npos || (host.starts_with('[') && !host.ends_with(']')))
    return is_v4(text) || text.starts_with('[') ? fmt::format("has no port; write {}:9180", text)
                                                : "is no address; write ADDRESS:PORT, as in 0.0.0.0:9180";
  if (!number_up_to(text.substr(colon + 1), 65535)) return "has no usable port; write 0 to 65535 after the last colon";
  if (host.empty()) return fmt::format("has no address; write 0.0.0.0{} or [::]{}", text, text);
  if (is_v4(host)) return {};
  if (host.size() > 2 && host.starts_with('[') && host.ends_with(']') && is_v6(host.substr(1, host.size() - 2)))
    return {};
  return "is not numeric; write an address of this host, or 0.0.0.0 for all, as in 0.0.0.0:9180";
}

bool is_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  if (!is_v4(host) && !is_v6(host)) return false;
  return slash == std::string::npos || number_up_to(text.substr(slash + 1), is_v4(host) ? 32 : 128).has_value();
}

// The scalars of a list, or the scalar itself.
std::vector<const Node*> items_of(const Node& n) {
  std::vector<const Node*> out;
  if (n.is_scalar()) out.push_back(&n);
  for (const Node& item : n.items) out.push_back(&item);
  return out;
}

void read_addresses(const Section& s, std::set<std::string>& taken, std::vector<std::string>& out) {
  const Node* n = s.get("address");
  if (n == nullptr || !s.texts("address")) return;
  out.clear();
  for (const Node* item : items_of(*n)) {
    const bool is_path = item->text.starts_with('/');
    if (is_path && item->text.size() > longest_socket_path) {
      s.problems().add(item->mark, s.path_of("address"), "is longer than the 107 bytes a socket's path may have");
    } else if (const std::string why = is_path ? "" : complaint_about_address(item->text); !why.empty()) {
      s.problems().add(item->mark, s.path_of("address"), fmt::format("'{}' {}", one_line(item->text, 80), why));
    } else if (!item->text.ends_with(":0") && !taken.insert(item->text).second) {
      s.problems().add(item->mark, s.path_of("address"),
                       fmt::format("{} is used twice; write another {}", item->text, is_path ? "path" : "port"));
    } else {
      out.push_back(item->text);
    }
  }
  if (items_of(*n).empty()) s.complain("address", "is an empty list; write at least one, as in 0.0.0.0:9180");
}

std::string absolute_path(const Section& s, std::string_view key, std::string otherwise) {
  const auto path = s.text(key);
  if (!path) return otherwise;
  if (path->front() != '/') s.complain(key, fmt::format("'{}' is relative; write the whole path, from /", *path));
  return *path;
}

std::optional<TlsFiles> read_tls(const Section& listener, const Context& cx) {
  if (listener.get("tls") == nullptr) return {};
  const Section tls = listener.section("tls", "listen.tls");
  if (!tls.is_map()) return {};
  TlsFiles files;
  bool is_readable = true;
  for (const auto& [key, to] : {std::pair("certificate", &files.certificate), std::pair("key", &files.key),
                                std::pair("client_ca", &files.client_ca)}) {
    if (const auto path = tls.text(key)) {
      *to = find_file(*path, cx.problems.directory_of(tls.mark()), cx.environment);
      std::string why;
      if (read_file(*to, longest_pem, &why)) continue;
      tls.complain(key, fmt::format("{} {}", *to, why));
      is_readable = false;
    } else if (std::string_view(key) != "client_ca") {
      if (!tls.has(key)) tls.complain(key, "is missing; tls needs certificate and key");
      is_readable = false;
    }
  }
  if (const auto client = tls.choice("client")) {
    files.is_client_required = *client == "required";
    if (files.client_ca.empty() && !tls.has("client_ca")) {
      tls.complain("client", "says nothing without client_ca; write the authority of the clients, or remove the line");
    }
  }
  if (is_readable && cx.inspect_tls && cx.read_secrets) {
    for (const TlsRemark& remark : cx.inspect_tls(files)) {
      const Entry* e = tls.entry(remark.key);
      const Mark at = e != nullptr ? e->value.mark : tls.mark();
      if (remark.is_warning) {
        cx.problems.warn(at, tls.path_of(remark.key), remark.text);
      } else {
        cx.problems.add(at, tls.path_of(remark.key), remark.text);
      }
    }
  }
  return files;
}

// What is in the file, without its last line's end; complains and gives nothing if it cannot be had.
std::optional<std::string> read_token(const Section& s, const Context& cx) {
  const auto path = s.text("token_file");
  if (!path) return {};
  const std::string file =
      find_file(*path, cx.problems.directory_of(s.entry("token_file")->value.mark), cx.environment);
  std::string why;
  auto content = read_file(file, longest_token, &why);
  const auto complain = [&](const std::string& text) { s.complain("token_file", file + " " + text); };
  if (!content) {
    complain(why);
    return {};
  }
  std::string token(trim(content->text));
  const auto warn = [&](const std::string& text) {
    cx.problems.warn(s.entry("token_file")->value.mark, s.path_of("token_file"), file + " " + text);
  };
  if (token.empty()) {
    complain("holds no token; `openssl rand -hex 32` makes one");
  } else if (token.find_first_of(std::string_view("\0 \t\r\n", 5)) != std::string::npos) {
    complain("holds more than one word; a token is one");
  } else if ((content->mode & 0004U) != 0) {
    warn("can be read by everybody; chmod o-r it");
  } else if (token.size() < strong_token) {
    warn(
        fmt::format("holds a token of fewer than {} characters, which can be guessed; `openssl rand -hex 32` makes one",
                    strong_token));
  }
  return token;
}

// Without it the socket is for fewer, not for more: no reason not to watch.
std::string read_group(const Section& s) {
  const std::string group = s.text("group").value_or("");
  if (!group.empty() && getgrnam(group.c_str()) == nullptr) {
    s.problems().warn(s.get("group")->mark, s.path_of("group"),
                      fmt::format("there is no group '{}' on this host, so the socket keeps the agent's own; "
                                  "make it with groupadd --system, or write another",
                                  one_line(group, 40)));
  }
  return group;
}

std::optional<unsigned> read_mode(const Section& s, bool may_be_open) {
  const Node* n = s.get("mode");
  if (n == nullptr) return {};
  const std::string path = s.path_of("mode");
  const auto text = Reader{s.problems(), *n, path}.text();
  if (!text) return {};
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mode, 8);
  if (text->empty() || error != std::errc{} || end != text->data() + text->size() || mode > 0777) {
    s.complain("mode", fmt::format("'{}' is no octal mode; write it as in \"0660\"", one_line(*text, 20)));
  } else if (!may_be_open && (mode & 0002U) != 0) {
    s.complain("mode", "would let everybody command the agent; write \"0660\"");
  } else {
    return mode;
  }
  return {};
}

void warn_of_authorized(const Section& s, const HealthListener& h) {
  if (s.get("details") == nullptr) {
    if (h.token.empty()) return;
    s.complain("token_file", "is for details: authorized; write that too, or remove the line");
    return;
  }
  const Mark at = s.entry("details")->value.mark;
  if (h.details != Details::authorized) {
    if (!h.token.empty()) s.complain("token_file", "is for details: authorized; write that too, or remove the line");
    return;
  }
  const bool has_client_ca = h.tls && !h.tls->client_ca.empty();
  if (!has_client_ca && !s.has("token_file")) {
    s.problems().warn(at, s.path_of("details"),
                      "nobody is authorized at this address; write token_file or tls.client_ca, or details: never");
  }
  const bool is_far = std::any_of(h.addresses.begin(), h.addresses.end(), [](const std::string& a) {
    return !a.starts_with('/') && !a.starts_with("127.") && !a.starts_with("[::1]");
  });
  if (!h.token.empty() && !h.tls && is_far) {
    s.problems().warn(s.entry("token_file")->value.mark, s.path_of("token_file"),
                      "travels in the clear, for everybody on the way to read; write tls too");
  }
}

HealthListener read_health(const Section& s, std::set<std::string>& taken, const Context& cx) {
  HealthListener out;
  read_addresses(s, taken, out.addresses);
  if (const auto details = s.choice("details")) {
    out.details = *details == "always"       ? Details::always
                  : *details == "never"      ? Details::never
                  : *details == "authorized" ? Details::authorized
                                             : Details::loopback;
  }
  if (const Node* n = s.get("proxy_protocol"); n != nullptr && s.texts("proxy_protocol")) {
    for (const Node* item : items_of(*n)) {
      if (is_network(item->text)) {
        out.proxy_protocol.push_back(item->text);
      } else {
        s.problems().add(
            item->mark, s.path_of("proxy_protocol"),
            fmt::format("'{}' is no network; write it as in 10.0.0.0/8 or fd00::/8", one_line(item->text, 80)));
      }
    }
  }
  out.token = read_token(s, cx).value_or("");
  out.tls = read_tls(s, cx);
  out.group = read_group(s);
  out.mode = read_mode(s, true).value_or(out.mode);
  warn_of_authorized(s, out);
  return out;
}

void read_health_listeners(const Section& listen, Config& config, std::set<std::string>& taken, const Context& cx) {
  const std::string otherwise = "127.0.0.1:9180";
  const Node* n = listen.get("health");
  if (n != nullptr && n->is_list()) {
    if (n->items.empty()) listen.complain("health", "is an empty list; write at least one map with an address");
    for (std::size_t i = 0; i < n->items.size(); ++i) {
      const Section s(cx.problems, n->items[i], fmt::format("listen.health[{}]", i), "listen.health");
      if (!s.is_map()) continue;
      if (!s.has("address")) s.complain("address", "is missing; in a list each needs its own, as in 0.0.0.0:9180");
      config.health.push_back(read_health(s, taken, cx));
    }
    return;
  }
  HealthListener one;
  if (n != nullptr) one = read_health(listen.section("health", "listen.health"), taken, cx);
  if (one.addresses.empty()) one.addresses = {otherwise};
  taken.insert(one.addresses.begin(), one.addresses.end());
  config.health.push_back(std::move(one));
}

void read_haproxy(const Section& s, Config& config, std::set<std::string>& taken) {
  HaproxyListener& out = config.haproxy.emplace();
  read_addresses(s, taken, out.addresses);
  if (s.is_map() && !s.has("address")) s.complain("address", "is missing; write address: 0.0.0.0:9181");
  if (const auto farewell = s.choice("farewell")) {
    out.farewell = *farewell == "ready"   ? Farewell::ready
                   : *farewell == "down"  ? Farewell::down
                   : *farewell == "maint" ? Farewell::maint
                                          : Farewell::drain;
  }
}

void read_grpc(const Section& s, Config& config, std::set<std::string>& taken, const Context& cx) {
  GrpcListener& out = config.grpc.emplace();
  read_addresses(s, taken, out.addresses);
  if (s.is_map() && !s.has("address")) s.complain("address", "is missing; write address: 0.0.0.0:9182");
  out.tls = read_tls(s, cx);
}

void read_admin(const Section& s, AdminListener& out) {
  out.socket = absolute_path(s, "socket", out.socket);
  if (out.socket.size() > longest_socket_path) {
    s.complain("socket", "is longer than the 107 bytes a socket's path may have");
  }
  out.group = read_group(s);
  out.mode = read_mode(s, false).value_or(out.mode);
}

}  // namespace

void read_listen(const Section& listen, Config& config, const Context& cx) {
  std::set<std::string> taken;
  read_health_listeners(listen, config, taken, cx);
  if (listen.get("haproxy") != nullptr) read_haproxy(listen.section("haproxy", "listen.haproxy"), config, taken);
  if (listen.get("grpc") != nullptr) read_grpc(listen.section("grpc", "listen.grpc"), config, taken, cx);
  if (listen.get("admin") != nullptr) read_admin(listen.section("admin", "listen.admin"), config.admin);
}

void read_log(const Section& log, Config& config) {
  if (const auto format = log.choice("format"))
    config.log.format = *format == "json" ? LogConfig::Format::json : LogConfig::Format::logfmt;
  config.log.file = absolute_path(log, "file", "");
}

void read_journal(const Section& journal, Config& config) {
  config.journal.is_enabled = journal.boolean("enabled").value_or(config.journal.is_enabled);
  config.journal.max_age = journal.duration("max_age").value_or(config.journal.max_age);
  config.journal.max_bytes = journal.size("max_size").value_or(config.journal.max_bytes);
}

void read_node(const Section& node, Plan& plan, const Environment& environment) {
  plan.node = node.text("name").value_or(environment("HOSTNAME").value_or("localhost"));
  plan.zone = node.text("zone").value_or("");
  for (const auto& [name, value] : node.labels("labels").value_or(std::vector<std::pair<std::string, std::string>>{}))
    plan.labels.insert_or_assign(name, value);
}

}  // namespace vital::config
