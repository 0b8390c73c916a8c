// The smb check: a file server of SMB does its work: negotiate a dialect that is not outdated, log in, connect to the
// share, read a file that must have its content, write one and read it back, see the space left. [worker]
#include "smb_client.hpp"

namespace vital::check::smb {
namespace {

class Smb final : public Blocking {
 public:
  explicit Smb(const Options& o) : wanted_(o) {
    place_.host = o.text("host");
    place_.port = o.integer("port");
    place_.share = o.text("share");
    place_.user = o.text("user");
    place_.password = o.text_or("password", "");
    place_.domain = o.text_or("domain", "");
    place_.must_encrypt = o.boolean("encrypt");
    const std::string dialect = o.text("dialect");
    place_.least_dialect = dialect == "2" ? "SMB2_02" : dialect == "3.1.1" ? "SMB3_11" : "SMB3_00";
    if (place_.host.empty()) throw Invalid("host", "is empty; write a name or an IPv4 address");
    if (place_.user.empty()) throw Invalid("user", "is empty; write the name of a user that may read the share");
    const std::string& share = place_.share;
    if (share.empty() || share.find_first_of("/\\") != std::string::npos)
      throw Invalid("share", shown(share) + " is no name of a share; write app for //server/app");
    if (place_.must_encrypt && dialect == "2") throw Invalid("encrypt", "needs dialect 3 or 3.1.1");
  }

  Result probe(const Attempt& attempt) override {
    Stopwatch watch;
    std::string address;
    Result result = stoppable([&] { return run(attempt, watch, address); });
    watch.lap(Phase::exchange);
    if (!address.empty()) result.fact("address", address);
    return watch.into(result);
  }

 private:
  Result run(const Attempt& attempt, Stopwatch& watch, std::string& address) const {
    const Fuse fuse(give_up_at(attempt));
    const std::vector<Address> addresses = resolve(place_.host, place_.port, fuse.at(), AF_INET);
    watch.lap(Phase::resolve);
    for (std::size_t i = 0;; ++i) {
      address = addresses[i].numeric;
      Client client(place_, addresses[i], fuse);
      try {
        client.log_in();
      } catch (const Stop& stop) {
        const Cause cause = stop.result.cause;
        const bool is_nobody_there = cause == Cause::refused || cause == Cause::unreachable;
        if (!is_nobody_there || i + 1 == addresses.size()) throw;
        continue;
      }
      watch.lap(Phase::auth);
      return wanted_.look(client, pass("logged in to " + place_.target() + " as " + place_.user), place_.target());
    }
  }

  Place place_;
  shares::Wanted wanted_;
};

constexpr const char* dialects[] = {"2", "3", "3.1.1", nullptr};

constexpr OptionRow own[] = {
    {"host", Type::string, "127.0.0.1", "name or IPv4 address of the server", "files1.example.jp"},
    {"port", Type::integer, "445", "port of the server", nullptr, 0, nullptr, 1, 65535},
    {"share", Type::string, nullptr, "name of the share", "app", VITAL_OPTION_REQUIRED},
    {"user", Type::string, nullptr, "who logs in", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"domain", Type::string, nullptr, "the user's domain; default the server's own users", "EXAMPLE"},
    {"dialect", Type::choice, "3", "the oldest dialect of SMB that is accepted", nullptr, 0, dialects},
    {"encrypt", Type::boolean, "false", "true: the session must be encrypted"},
};
constexpr auto options = shares::with_files(own);

}  // namespace
}  // namespace vital::check::smb

using vital::check::smb::options;
using vital::check::smb::Smb;
VITAL_BLOCKING_MODULE(Smb, "smb", "1.0", "SMB: dialect, login, share, a file's content, a write", options.rows)
