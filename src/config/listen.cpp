// Who the node is, where the agent listens, where it logs.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/files.hpp"

namespace vital::config {
namespace {

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
    if (const std::string why = complaint_about_address(item->text); !why.empty()) {
      s.problems().add(item->mark, s.path_of("address"), fmt::format("'{}' {}", one_line(item->text, 80), why));
    } else if (!item->text.ends_with(":0") && !taken.insert(item->text).second) {
      s.problems().add(item->mark, s.path_of("address"),
                       fmt::format("{} is used twice; write another port", item->text));
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

void read_tls(const Section& tls, HealthListener& out, const Context& cx) {
  TlsFiles files;
  for (const auto& [key, to] : {std::pair("certificate", &files.certificate), std::pair("key", &files.key),
                                std::pair("client_ca", &files.client_ca)}) {
    if (const auto path = tls.text(key)) {
      *to = find_file(*path, cx.problems.directory_of(tls.mark()), cx.environment);
      std::string why;
      if (!read_file(*to, 1024 * 1024, &why)) tls.complain(key, fmt::format("{} {}", *to, why));
    } else if (!tls.has(key) && std::string_view(key) != "client_ca") {
      tls.complain(key, "is missing; tls needs certificate and key");
    }
  }
  out.tls = std::move(files);
  tls.problems().add(tls.mark(), tls.path(), "this version serves no TLS; leave it out and put a proxy before it");
}

void read_health(const Section& s, HealthListener& out, std::set<std::string>& taken, const Context& cx) {
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
  if (s.get("tls") != nullptr) {
    const Section tls = s.section("tls", "listen.health.tls");
    if (tls.is_map()) read_tls(tls, out, cx);
  }
}

void read_admin(const Section& s, AdminListener& out) {
  out.socket = absolute_path(s, "socket", out.socket);
  if (out.socket.size() > 107) s.complain("socket", "is longer than the 107 bytes a socket's path may have");
  out.group = s.text("group").value_or("");
  if (const Node* n = s.get("mode"); n != nullptr) {
    const std::string path = s.path_of("mode");
    const auto text = Reader{s.problems(), *n, path}.text();
    if (!text) return;
    unsigned mode = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mode, 8);
    if (text->empty() || error != std::errc{} || end != text->data() + text->size() || mode > 0777) {
      s.complain("mode", fmt::format("'{}' is no octal mode; write it as in \"0660\"", one_line(*text, 20)));
    } else if ((mode & 0002U) != 0) {
      s.complain("mode", "would let everybody command the agent; write \"0660\"");
    } else {
      out.mode = mode;
    }
  }
}

}  // namespace

void read_listen(const Section& listen, Config& config, const Context& cx) {
  config.health.addresses = {"127.0.0.1:9180"};
  std::set<std::string> taken;
  if (listen.get("health") != nullptr) read_health(listen.section("health", "listen.health"), config.health, taken, cx);
  taken.insert(config.health.addresses.begin(), config.health.addresses.end());
  if (listen.get("haproxy") != nullptr) {
    const Section s = listen.section("haproxy", "listen.haproxy");
    config.haproxy.emplace();
    read_addresses(s, taken, config.haproxy->addresses);
    if (s.is_map() && !s.has("address")) s.complain("address", "is missing; write address: 0.0.0.0:9181");
  }
  if (listen.get("admin") != nullptr) read_admin(listen.section("admin", "listen.admin"), config.admin);
}

void read_log(const Section& log, Config& config) {
  if (const auto format = log.choice("format"))
    config.log.format = *format == "json" ? LogConfig::Format::json : LogConfig::Format::logfmt;
  config.log.file = absolute_path(log, "file", "");
}

void read_node(const Section& node, Plan& plan, const Environment& environment) {
  plan.node = node.text("name").value_or(environment("HOSTNAME").value_or("localhost"));
  plan.zone = node.text("zone").value_or("");
  for (const auto& [name, value] : node.labels("labels").value_or(std::vector<std::pair<std::string, std::string>>{}))
    plan.labels.insert_or_assign(name, value);
}

}  // namespace vital::config
