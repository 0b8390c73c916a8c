// The agent that runs, its unit, its ports and its limits; see finding.hpp.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <system_error>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "cmd/doctor/finding.hpp"
#include "cmd/doctor/output_of.hpp"
#include "cmd/json_text.hpp"
#include "cmd/sockets.hpp"
#include "ctl/client.hpp"

namespace vital::doctor {
namespace {

using Json = nlohmann::json;
using cmd::text_at;
using namespace std::chrono_literals;

constexpr std::string_view default_socket = "/run/vitald/admin.sock";
constexpr rlim_t wanted_descriptors = 4096 + 512;  // the connections promised, and the agent's own

std::string because(int error) { return std::generic_category().message(error); }

std::string socket_of(const Patient& patient) {
  if (!patient.socket.empty()) return patient.socket;
  return patient.loaded.config != nullptr ? patient.loaded.config->admin.socket : std::string(default_socket);
}

// Who listens on the socket: the agent, or whoever holds it for the agent.
pid_t holder_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return 0;
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ucred peer{};
  socklen_t length = sizeof peer;
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return 0;
  }
  return peer.pid;
}

bool is_vitald(pid_t pid) {
  std::error_code error;
  return std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error)
      .filename()
      .string()
      .starts_with("vitald");
}

// The program of a running process was replaced on disk.
bool is_replaced(pid_t pid) {
  std::error_code error;
  return std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error).string().ends_with(" (deleted)");
}

void judge_status(const Json& status, Patient& patient, Findings& out) {
  const std::size_t before = out.size();
  if (const std::string version = text_at(status, "version"); version != VITALD_VERSION || is_replaced(patient.agent)) {
    out.push_back({Level::warning, "agent",
                   fmt::format("the one that runs is {}, this program is {}{}", version, VITALD_VERSION,
                               version == VITALD_VERSION ? ", installed since it started" : ""),
                   "systemctl restart vitald"});
  }
  if (status.value("is_stalled", false)) {
    out.push_back({Level::problem, "agent", "its loop stands still, and it answers 503",
                   "systemctl restart vitald, and report it with its log"});
  }
  if (const Json& config = status.at("config"); !config.value("is_current", true)) {
    out.push_back(
        {Level::problem, "agent",
         "it refused the last reload, and the configuration before it is in use: " + text_at(config, "problem"),
         "correct the file, then vitalctl reload"});
  }
  if (const auto journal = status.find("journal"); journal != status.end() && journal->is_object() &&
                                                   journal->value("is_enabled", false) &&
                                                   !journal->value("is_healthy", true)) {
    out.push_back({Level::problem, "agent", "its journal cannot be written: " + text_at(*journal, "problem"),
                   "mend the disk, or what it says; it goes on by itself"});
  }
  if (out.size() == before) {
    out.push_back({Level::ok,
                   "agent",
                   fmt::format("runs, version {}, and answers on {}", text_at(status, "version"), socket_of(patient)),
                   {}});
  }
}

// "127.0.0.1:80" is held if somebody listens on it or on every address.
const cmd::ListeningSocket* holder(const std::vector<cmd::ListeningSocket>& sockets, const SocketAddress& wanted) {
  const HostAddress host = HostAddress::of(wanted);
  const bool is_any = std::all_of(host.bytes.begin() + (host.is_v4() ? 12 : 0), host.bytes.end(),
                                  [](std::uint8_t b) { return b == 0; });
  for (const cmd::ListeningSocket& s : sockets) {
    if (s.port == wanted.port() && (is_any || s.is_any || s.address.bytes == host.bytes)) return &s;
  }
  return nullptr;
}

// Whether we could listen there ourselves; empty if so.
std::string try_to_listen(const SocketAddress& address) {
  const UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd) return because(errno);
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return bind(fd.get(), address.raw(), address.length) == 0 ? std::string() : because(errno);
}

void look_at_port(const Patient& patient, const std::string& written, const std::vector<cmd::ListeningSocket>& sockets,
                  const char* key, Findings& out) {
  if (written.starts_with('/')) return;
  SocketAddress address;
  try {
    address = SocketAddress::parse(written);
  } catch (const std::exception&) {
    return;  // of a configuration that is valid there are none
  }
  if (address.port() == 0) return;
  const cmd::ListeningSocket* who = holder(sockets, address);
  const std::string name = who == nullptr  ? ""
                           : who->pid == 0 ? "a process of another user"
                                           : fmt::format("{} (pid {})", who->program, who->pid);
  if (who != nullptr &&
      (who->pid == patient.agent || (who->pid != 0 && is_vitald(who->pid)) || (patient.is_running && who->pid <= 1))) {
    out.push_back({Level::ok, "ports", fmt::format("{} ({}) is the agent's", written, key), {}});
  } else if (who != nullptr) {
    out.push_back({Level::problem, "ports", fmt::format("{} ({}) is held by {}", written, key, name),
                   fmt::format("stop that, or write another address as listen.{}", key)});
  } else if (const std::string why = try_to_listen(address); !why.empty()) {
    out.push_back({Level::problem, "ports", fmt::format("{} ({}) cannot be listened on: {}", written, key, why),
                   fmt::format("write an address of this host as listen.{}", key)});
  } else if (patient.is_running) {
    out.push_back({Level::problem, "ports", fmt::format("the agent runs, and nobody listens on {} ({})", written, key),
                   "vitalctl reload; the agent's log says why it could not"});
  } else {
    out.push_back({Level::ok, "ports", fmt::format("{} ({}) is free", written, key), {}});
  }
}

// What a running process may have, from /proc/PID/limits; ours if it is not known.
std::optional<rlim_t> most_descriptors(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/limits", pid));
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("Max open files")) continue;
    std::istringstream words(line.substr(std::string_view("Max open files").size()));
    std::string soft, hard;
    words >> soft >> hard;
    if (hard == "unlimited") return RLIM_INFINITY;
    rlim_t out = 0;
    if (std::from_chars(hard.data(), hard.data() + hard.size(), out).ec == std::errc{}) return out;
  }
  return {};
}

}  // namespace

void look_at_agent(Patient& patient, Findings& out) {
  const std::string socket = socket_of(patient);
  patient.agent = holder_of(socket);
  try {
    const ctl::Reply reply = ctl::Client(socket).ask("GET", "/api/v1/status", {}, 5s);
    patient.is_running = true;
    const Json status = Json::parse(reply.body, nullptr, false);
    if (reply.status == 503) {
      out.push_back({Level::warning, "agent", "it is just starting", "look again in a moment"});
    } else if (reply.status != 200 || !status.is_object() || !status.contains("config")) {
      out.push_back({Level::problem, "agent", "what answers on " + socket + " is not vitald: " + ctl::error_of(reply),
                     "stop that, or write another listen.admin.socket"});
    } else {
      judge_status(status, patient, out);
    }
  } catch (const ctl::CtlError& e) {
    const bool is_forbidden = access(socket.c_str(), F_OK) == 0 && access(socket.c_str(), W_OK) != 0;
    const std::string line = e.what();
    out.push_back({is_forbidden ? Level::warning : Level::problem, "agent",
                   line.substr(0, std::min(line.find(": is vitald"), line.find("; be in"))),
                   is_forbidden ? "be in the socket's group (listen.admin.group), or use sudo"
                                : "systemctl start vitald; journalctl -u vitald says why it ended"});
  }
}

void look_at_unit(Findings& out) {
  std::error_code error;
  if (!std::filesystem::is_directory("/run/systemd/system", error)) {
    out.push_back({Level::ok, "unit", "systemd does not run here, and keeps nothing alive", {}});
    return;
  }
  const auto said = output_of(
      "systemctl",
      {"show", "vitald.service", "--property=LoadState,UnitFileState,ActiveState,Result,WatchdogUSec,LimitNOFILE"}, 5s);
  std::map<std::string, std::string> facts;
  const std::string text = said.value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos)
      facts[std::string(line.substr(0, equals))] = std::string(trim(line.substr(equals + 1)));
  }
  if (facts.empty()) {
    out.push_back({Level::warning, "unit", "systemctl does not answer", "look yourself: systemctl status vitald"});
    return;
  }
  if (facts["LoadState"] != "loaded") {
    out.push_back({Level::warning, "unit", "vitald.service is " + one_line(facts["LoadState"], 64),
                   "install the unit, then systemctl daemon-reload"});
    return;
  }
  const std::size_t before = out.size();
  if (facts["ActiveState"] == "failed") {
    const bool is_config = facts["Result"] == "exit-code";
    out.push_back({Level::problem, "unit", "vitald.service has failed: " + one_line(facts["Result"], 64),
                   is_config ? "journalctl -u vitald -n 20; then systemctl restart vitald"
                             : "systemctl reset-failed vitald; systemctl start vitald"});
  } else if (facts["ActiveState"] != "active" && facts["ActiveState"] != "reloading") {
    out.push_back(
        {Level::problem, "unit", "vitald.service is " + one_line(facts["ActiveState"], 64), "systemctl start vitald"});
  }
  if (facts["UnitFileState"] != "enabled" && facts["UnitFileState"] != "enabled-runtime") {
    out.push_back({Level::warning, "unit", "vitald.service is not enabled: it does not start at boot",
                   "systemctl enable vitald"});
  }
  if (const std::string& watchdog = facts["WatchdogUSec"];
      watchdog.empty() || watchdog == "0" || watchdog == "infinity") {
    out.push_back({Level::warning, "unit", "vitald.service has no watchdog: nobody restarts an agent that hangs",
                   "systemctl edit vitald: [Service] WatchdogSec=15s"});
  }
  if (out.size() == before)
    out.push_back({Level::ok, "unit", "vitald.service is enabled and active, with a watchdog", {}});
}

void look_at_ports(const Patient& patient, Findings& out) {
  if (patient.loaded.config == nullptr) return;
  const Config& config = *patient.loaded.config;
  const auto sockets = cmd::listening_sockets();
  for (const HealthListener& h : config.health) {
    for (const std::string& address : h.addresses) look_at_port(patient, address, sockets, "health", out);
  }
  if (config.haproxy) {
    for (const std::string& address : config.haproxy->addresses)
      look_at_port(patient, address, sockets, "haproxy", out);
  }
  if (config.grpc) {
    for (const std::string& address : config.grpc->addresses) look_at_port(patient, address, sockets, "grpc", out);
  }
}

void look_at_limits(const Patient& patient, Findings& out) {
  rlimit ours{};
  getrlimit(RLIMIT_NOFILE, &ours);
  const std::optional<rlim_t> of_agent = patient.agent > 1 ? most_descriptors(patient.agent) : std::nullopt;
  const rlim_t most = of_agent.value_or(ours.rlim_max);
  const char* whose = of_agent ? "the agent" : "a program started here";
  if (most < wanted_descriptors) {
    out.push_back(
        {Level::warning, "limits",
         fmt::format("{} may have {} open files, and 4,096 connections take {}", whose, most, wanted_descriptors),
         "systemctl edit vitald: [Service] LimitNOFILE=16384"});
  } else {
    out.push_back({Level::ok,
                   "limits",
                   most == RLIM_INFINITY ? fmt::format("{} may have any number of open files", whose)
                                         : fmt::format("{} may have {} open files", whose, most),
                   {}});
  }
}

}  // namespace vital::doctor
