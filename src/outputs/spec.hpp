// OutputSpec: one entry of `outputs:` as the config understood it: who is told, about what, how often it is looked
// after, and what of it stands when the agent leaves. Immutable values; any thread. Holds secrets: never print those.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"

namespace vital {

// What a consumer can be told of a service or the node. The order is that of the tables below.
enum class Told : std::uint8_t { pass, warn, fail, drain, maintenance };
constexpr std::array<std::string_view, 5> told_names{"pass", "warn", "fail", "drain", "maintenance"};
constexpr std::string_view name(Told t) { return told_names.at(static_cast<std::size_t>(t)); }

// One text for each thing that can be told.
using PerTold = std::array<std::string, told_names.size()>;

// What is left behind when the agent stops: what was told last, a pass, a fail, or nothing (a file, a key or an
// attribute is removed).
enum class OnStop : std::uint8_t { leave, pass, fail, withdraw };

// A file with the last snapshot, for scripts.
struct FileOutput {
  std::string path;
  bool operator==(const FileOutput&) const = default;
};

// A keepalived track_file: one number and a newline.
struct KeepalivedOutput {
  std::string path;
  PerTold values;
  bool operator==(const KeepalivedOutput&) const = default;
};

// HAProxy's runtime socket, of one process or several.
struct HaproxyOutput {
  std::vector<std::string> sockets;  // absolute paths, or ADDRESS:PORT
  std::vector<std::string> servers;  // "backend/server"
  bool is_by_agent = true;           // a failure is `agent down`; else it is `state maint`
  bool is_weighed = true;
  bool operator==(const HaproxyOutput&) const = default;
};

// A program of the operator's.
struct ExecOutput {
  std::vector<std::string> command;
  std::vector<std::string> verify;  // ends with 0 if the target holds what the environment says; empty = not asked
  bool operator==(const ExecOutput&) const = default;
};

// What every HTTP target has.
struct HttpTarget {
  std::vector<std::string> bases;    // "https://10.0.0.5:8500"; the first that answers
  std::string ca, certificate, key;  // files; empty = the system's, none
  bool operator==(const HttpTarget&) const = default;
};

// An HTTP POST for each change, in order, until it is taken.
struct WebhookOutput {
  HttpTarget http;     // one base: the whole URL
  std::string secret;  // of the signature; empty = unsigned
  Duration give_up_after = std::chrono::hours(24);
  bool operator==(const WebhookOutput&) const = default;
};

// A TTL check of the local Consul agent.
struct ConsulOutput {
  HttpTarget http;
  std::string check_id;
  std::string token;  // secret
  bool operator==(const ConsulOutput&) const = default;
};

// A key under a lease.
struct EtcdOutput {
  HttpTarget http;
  std::string key;
  Duration ttl = std::chrono::seconds(15);
  std::string user, password;  // the password is a secret
  bool operator==(const EtcdOutput&) const = default;
};

// A node attribute of Pacemaker.
struct PacemakerOutput {
  std::string attribute;
  std::string node;  // ours, as Pacemaker names it
  Duration dampening{};
  PerTold values;  // empty = the attribute is deleted
  std::string program;
  bool operator==(const PacemakerOutput&) const = default;
};

// A server of a balancer's file, and the service that says whether it works.
struct OutputMember {
  std::string server;
  std::string service;
  bool operator==(const OutputMember&) const = default;
};

// The server lines of an nginx upstream, and a reload.
struct NginxOutput {
  std::string path;
  std::vector<OutputMember> members;
  std::vector<std::string> reload;
  bool operator==(const NginxOutput&) const = default;
};

// An EDS file.
struct EnvoyOutput {
  std::string path;
  std::string cluster;
  std::vector<OutputMember> members;
  bool operator==(const EnvoyOutput&) const = default;
};

using OutputTarget = std::variant<FileOutput, KeepalivedOutput, HaproxyOutput, ExecOutput, WebhookOutput, ConsulOutput,
                                  EtcdOutput, PacemakerOutput, NginxOutput, EnvoyOutput>;

struct OutputSpec {
  std::string name;
  std::string service;  // empty = the node
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(2);  // of one look, the writing included
  OnStop on_stop = OnStop::leave;
  OutputTarget target;
  bool operator==(const OutputSpec&) const = default;
};

// "keepalived", as `type:` says it.
std::string_view type_of(const OutputSpec& spec);

}  // namespace vital
