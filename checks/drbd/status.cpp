// Reading and judging DRBD's state; see status.hpp.
#include "status.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "../amount.hpp"
#include "../json_text.hpp"
#include "../words.hpp"

namespace vital::drbd {
namespace {

using check::Cause;
using check::Findings;
using check::flag_at;
using check::number_at;
using check::Result;
using check::Verdict;
using nlohmann::json;

std::string word_at(const json& object, const char* name) { return check::tidy(check::text_at(object, name), 80); }
int volume_of(const json& object) { return static_cast<int>(std::clamp(number_at(object, "volume"), 0.0, 65535.0)); }

// The objects of a list; nothing for what is none.
std::vector<json> objects_at(const json& object, const char* name) {
  std::vector<json> out;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return out;
  std::copy_if(found->begin(), found->end(), std::back_inserter(out), [](const json& one) { return one.is_object(); });
  return out;
}

// DRBD 9.1 tells each reason apart, 9.0 only that there is one.
std::string suspension(const json& resource) {
  for (const char* why : {"user", "no-data", "fencing", "quorum"}) {
    if (flag_at(resource, (std::string("suspended-") + why).c_str())) return why;
  }
  return flag_at(resource, "suspended") ? "no reason given" : "";
}

Connection connection_of(const json& object) {
  Connection out{word_at(object, "name"), word_at(object, "connection-state"), word_at(object, "peer-role"), {}};
  for (const json& d : objects_at(object, "peer_devices")) {
    out.devices.push_back({volume_of(d), word_at(d, "replication-state"), word_at(d, "peer-disk-state"),
                           number_at(d, "out-of-sync") * 1024, number_at(d, "percent-in-sync", 100)});
  }
  return out;
}

bool is_target(const std::string& replication) {
  for (const char* state : {"SyncTarget", "PausedSyncT", "WFBitMapT", "StartingSyncT", "WFSyncUUID"}) {
    if (replication == state) return true;
  }
  return false;
}

const PeerDevice* device_of(const Connection& connection, int volume) {
  const auto found = std::find_if(connection.devices.begin(), connection.devices.end(),
                                  [&](const PeerDevice& d) { return d.volume == volume; });
  return found == connection.devices.end() ? nullptr : &*found;
}

// Whether a connected peer has this volume's current data.
bool is_whole_elsewhere(const Resource& resource, int volume) {
  return std::any_of(resource.connections.begin(), resource.connections.end(), [&](const Connection& c) {
    const PeerDevice* d = device_of(c, volume);
    return c.is_connected() && d != nullptr && d->disk == "UpToDate";
  });
}

void judge_device(const Resource& resource, const Device& device, Findings& found) {
  const std::string what = resource.name + "/" + std::to_string(device.volume);
  if (!device.has_quorum) found.add(Verdict::fail, Cause::content, what + " has no quorum");
  if (device.disk == "UpToDate") return;
  const bool is_served = is_whole_elsewhere(resource, device.volume);
  if (device.is_client) {
    if (!is_served) found.add(Verdict::fail, Cause::content, what + " has no disk here, and no peer with its data");
    return;
  }
  for (const Connection& c : resource.connections) {
    const PeerDevice* d = device_of(c, device.volume);
    if (d == nullptr || !is_target(d->replication)) continue;
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.1f", d->percent_in_sync);
    return found.add(Verdict::warn, Cause::content,
                     what + " is " + device.disk + " and filled from " + c.name + " (" + percent + "%)");
  }
  const bool can_read_elsewhere = resource.role == "Primary" && is_served;
  found.add(can_read_elsewhere ? Verdict::warn : Verdict::fail, Cause::content,
            what + " is " + (device.disk.empty() ? "in no state it names" : device.disk) +
                (can_read_elsewhere ? ", served from a peer's disk" : ""));
}

void judge_connection(const Resource& resource, const Connection& connection, Findings& found) {
  if (connection.is_connected()) return;
  // What a peer writes meanwhile is not here: who does not serve must not be taken for a spare.
  const bool is_standalone = connection.state == "StandAlone";
  const Verdict verdict = is_standalone && resource.role != "Primary" ? Verdict::fail : Verdict::warn;
  found.add(verdict, Cause::content,
            resource.name + " is not connected to " + connection.name + " (" + connection.state +
                (is_standalone ? ": a split brain, or disconnected by hand)" : ")"));
}

}  // namespace

std::optional<std::vector<Resource>> read_status(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_array()) return {};
  std::vector<Resource> all;
  for (const json& one : document) {
    if (!one.is_object()) return {};
    Resource resource{
        word_at(one, "name"), word_at(one, "role"), suspension(one), flag_at(one, "force-io-failures"), {}, {}};
    if (resource.name.empty() || resource.role.empty()) return {};
    for (const json& d : objects_at(one, "devices")) {
      resource.devices.push_back(
          {volume_of(d), word_at(d, "disk-state"), flag_at(d, "client"), flag_at(d, "quorum", true)});
    }
    for (const json& c : objects_at(one, "connections")) resource.connections.push_back(connection_of(c));
    all.push_back(std::move(resource));
  }
  return all;
}

std::string promotion_obstacle(const Resource& resource) {
  if (resource.role == "Primary") return "it is primary already";
  if (!resource.suspended.empty()) return "its I/O is suspended (" + resource.suspended + ")";
  if (resource.devices.empty()) return "it has no device";
  for (const Connection& c : resource.connections) {
    if (c.role == "Primary") return c.name + " is primary";
    if (c.state == "StandAlone") return "it is StandAlone toward " + c.name;
  }
  for (const Device& d : resource.devices) {
    if (d.disk != "UpToDate") return "volume " + std::to_string(d.volume) + " is " + d.disk;
    if (!d.has_quorum) return "volume " + std::to_string(d.volume) + " has no quorum";
  }
  return {};
}

Result judge(const std::vector<Resource>& all, const Demands& demands) {
  Findings found;
  const auto is_meant = [&](const Resource& r) {
    const auto& wanted = demands.resources;
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), r.name) != wanted.end();
  };
  for (const std::string& name : demands.resources) {
    const bool is_there = std::any_of(all.begin(), all.end(), [&](const Resource& r) { return r.name == name; });
    if (!is_there) found.add(Verdict::fail, Cause::content, name + " is not up");
  }
  Result seen;
  std::string role;
  std::string obstacle;
  double out_of_sync = 0;
  double in_sync = 100;
  int count = 0;
  int connected = 0;
  for (const Resource& resource : all) {
    if (!is_meant(resource)) continue;
    ++count;
    role = role.empty() || role == resource.role ? resource.role : "mixed";
    if (obstacle.empty()) {
      obstacle = promotion_obstacle(resource);
      if (!obstacle.empty()) obstacle = resource.name + ": " + obstacle;
    }
    const std::string wanted = demands.role == "primary" ? "Primary" : "Secondary";
    if (demands.role != "any" && resource.role != wanted)
      found.add(Verdict::fail, Cause::role, resource.name + " is " + resource.role + ", expected " + wanted);
    if (!resource.suspended.empty())
      found.add(Verdict::fail, Cause::content, resource.name + " has its I/O suspended (" + resource.suspended + ")");
    if (resource.forces_failures)
      found.add(Verdict::fail, Cause::content, resource.name + " answers all I/O with errors");
    for (const Device& device : resource.devices) judge_device(resource, device, found);
    for (const Connection& connection : resource.connections) {
      judge_connection(resource, connection, found);
      connected += connection.is_connected() ? 1 : 0;
      for (const PeerDevice& d : connection.devices) {
        out_of_sync = std::max(out_of_sync, d.out_of_sync);
        in_sync = std::min(in_sync, d.percent_in_sync);
      }
    }
  }
  if (count == 0 && demands.resources.empty()) found.add(Verdict::fail, Cause::content, "no resource is up");
  found.judge(demands.out_of_sync, out_of_sync, check::bytes_in_words(out_of_sync) + " are out of sync");
  seen.measure("resources", count).measure("peers_connected", connected);
  demands.out_of_sync.measure(seen, "out_of_sync", out_of_sync, "B");
  seen.measure("in_sync", in_sync, "%");
  Result result =
      found.into(check::pass("DRBD: " + std::to_string(count) + (count == 1 ? " resource, " : " resources, ") + role +
                             ", whole and connected"),
                 "DRBD");
  result.measures = std::move(seen.measures);
  std::transform(role.begin(), role.end(), role.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (count > 0) {
    result.fact("role", role);
    result.fact("promotable", obstacle.empty() ? "yes" : "no");
    if (!obstacle.empty()) result.fact("not_promotable_because", obstacle);
  }
  return result;
}

}  // namespace vital::drbd
