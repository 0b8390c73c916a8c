// The nfs check: an NFS server does its work, seen from user space: the NULL call, the mount, a file that must have its
// content, a file that is written and read back, the space left. For the mount of this host see mount.cpp. [worker]
#include "nfs_client.hpp"

namespace vital::check::nfs {
namespace {

class Nfs final : public Blocking {
 public:
  explicit Nfs(const Options& o) : wanted_(o), family_(family_option(o)) {
    export_.host = o.text("host");
    export_.path = o.text("export");
    export_.version = o.text("version") == "3" ? 3 : 4;
    export_.port = o.integer("port");
    export_.mount_port = o.integer("mount_port");
    export_.uid = static_cast<int>(o.integer_or("uid", getuid()));
    export_.gid = static_cast<int>(o.integer_or("gid", getgid()));
    if (export_.host.empty()) throw Invalid("host", "is empty; write a name or an address");
    if (export_.path.empty() || export_.path.front() != '/')
      throw Invalid("export", shown(export_.path) + " is no path; write /srv/app, for example");
    if (export_.version == 4 && export_.mount_port != 0)
      throw Invalid("mount_port", "is for version 3 alone; leave it out");
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    return stoppable(watch, [&](Result& seen) { return run(attempt, watch, seen); });
  }

 private:
  // What is known of the way there goes to `seen`, however the probe ends.
  Result run(const Attempt& attempt, Stopwatch& watch, Result& seen) const {
    const Duration until = give_up_at(attempt);
    const std::vector<Address> addresses = resolve(export_.host, 111, until, family_);
    watch.lap(Phase::resolve);
    for (std::size_t i = 0;; ++i) {
      const std::size_t left = addresses.size() - i;
      seen.facts = {{"address", addresses[i].numeric}};
      Client client(export_, addresses[i], left == 1 ? until : share_until(until, left));
      try {
        client.call_null();
      } catch (const Stop& stop) {
        const Cause cause = stop.result.cause;
        const bool is_nobody_there = cause == Cause::refused || cause == Cause::unreachable || cause == Cause::timeout;
        if (left == 1 || !is_nobody_there) throw;
        continue;
      }
      watch.lap(Phase::connect);
      const Duration began = monotonic_now();
      client.mount();
      seen.measure("mount", std::chrono::duration<double>(monotonic_now() - began).count(), "s");
      Result result = wanted_.look(client, pass("mounted " + export_.target()), export_.target());
      client.unmount();
      return result;
    }
  }

  Export export_;
  shares::Wanted wanted_;
  int family_;
};

constexpr const char* versions[] = {"3", "4", nullptr};

constexpr OptionRow own[] = {
    {"host", Type::string, "127.0.0.1", "name or address of the server", "nfs1.example.jp"},
    {"export", Type::string, nullptr, "what is mounted: with version 4 the path a client names, below its root",
     "/srv/app", VITAL_OPTION_REQUIRED},
    {"version", Type::choice, "4", "NFS version, 3 or 4 (4.0)", nullptr, 0, versions},
    {"port", Type::integer, "0", "port of the server; 0: 2049, with version 3 the one its portmapper names", nullptr, 0,
     nullptr, 0, 65535},
    {"mount_port", Type::integer, "0", "with version 3: port of its mount service; 0 asks the portmapper", nullptr, 0,
     nullptr, 0, 65535},
    {"family", Type::choice, "any", "IP version a name is resolved to", nullptr, 0, families},
    {"uid", Type::integer, nullptr, "the user as whom files are read and written; default the agent's", "33", 0,
     nullptr, 0, 2147483647},
    {"gid", Type::integer, nullptr, "that user's group; default the agent's", "33", 0, nullptr, 0, 2147483647},
};
constexpr auto options = shares::with_files(own);

}  // namespace
}  // namespace vital::check::nfs

using vital::check::nfs::Nfs;
using vital::check::nfs::options;
VITAL_BLOCKING_MODULE(Nfs, "nfs", "1.0", "NFS 3 and 4: NULL call, mount, a file's content, a flushed write",
                      options.rows)
