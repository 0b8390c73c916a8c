// haproxy.set: the administrative state of servers at HAProxy's runtime socket, of one process or several; set, and
// read back from the same process. What HAProxy forgets at its own reload is not this action's to keep: see outputs.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "action.hpp"
#include "checks/blocking.hpp"

namespace {

using namespace vital::action;

constexpr OptionRow options[] = {
    {"sockets", Type::list, nullptr, "runtime sockets with level admin: absolute paths, or ADDRESS:PORT",
     "[/run/haproxy/admin.sock]", VITAL_OPTION_REQUIRED},
    {"servers", Type::map, nullptr, "BACKEND/SERVER to ready, drain or maint", "{db/one: maint, db/two: ready}",
     VITAL_OPTION_REQUIRED},
    {"undo", Type::map, nullptr, "the same, for when the step is taken back", "{db/one: ready, db/two: maint}"},
    {"shutdown_sessions", Type::boolean, "true", "end the sessions of servers put to maint, so that clients come anew"},
    VITAL_STEP_ROWS};

using Wanted = std::vector<std::pair<std::string, std::string>>;

Wanted read_servers(const Options& o, const char* option) {
  Wanted out = o.map(option);
  for (const auto& [server, state] : out) {
    const auto slash = server.find('/');
    const bool is_plain =
        server.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/") ==
        std::string::npos;
    if (slash == std::string::npos || slash == 0 || slash + 1 == server.size() || !is_plain) {
      throw Invalid(option, "'" + server + "' is no BACKEND/SERVER");
    }
    if (state != "ready" && state != "drain" && state != "maint") {
      throw Invalid(option, "'" + state + "' is no state; write ready, drain or maint");
    }
  }
  return out;
}

class Set final : public Action {
 public:
  explicit Set(const Options& o)
      : sockets_(o.list("sockets")),
        servers_(read_servers(o, "servers")),
        undo_(read_servers(o, "undo")),
        ends_sessions_(o.boolean("shutdown_sessions")) {
    for (const std::string& socket : sockets_) {
      const auto colon = socket.rfind(':');
      if (!socket.empty() && socket[0] == '/') continue;
      if (colon == std::string::npos || colon == 0 || std::atoi(socket.c_str() + colon + 1) < 1)
        throw Invalid("sockets", "'" + socket + "' is neither an absolute path nor ADDRESS:PORT");
    }
  }

  Result check(const Step&, const Attempt& attempt) override {
    return at_each(attempt, [&](const std::string& socket, Duration until) {
      const auto seen = states(socket, until);
      for (const auto& [server, state] : servers_) {
        if (seen.count(server) == 0) return fail(Cause::config, socket + " knows no server " + server);
      }
      // Only level admin may do this, and it changes nothing: the state is set to what it is.
      const auto& [server, now] = *seen.find(servers_.front().first);
      const std::string said = ask(socket, "set server " + server + " state " + now, until);
      if (said.find("denied") != std::string::npos) return fail(Cause::auth, socket + " is not of level admin");
      return pass("all servers are known");
    });
  }
  Result perform(const Step& step, const Attempt& attempt) override { return set(step, attempt, servers_); }
  Result verify(const Step&, const Attempt& attempt) override { return compare(attempt, servers_); }
  Result compensate(const Step& step, const Attempt& attempt) override {
    if (undo_.empty()) return fail(Cause::config, "there is no undo");
    const Result done = set(step, attempt, undo_);
    return done.verdict == Verdict::pass ? compare(attempt, undo_) : done;
  }

 private:
  Result set(const Step& step, const Attempt& attempt, const Wanted& wanted) const {
    return at_each(attempt, [&](const std::string& socket, Duration until) {
      const auto seen = states(socket, until);
      std::string commands;
      for (const auto& [server, state] : wanted) {
        const auto at = seen.find(server);
        if (at == seen.end()) veto(socket + " knows no server " + server);
        if (at->second == state) continue;
        commands += "set server " + server + " state " + state + ";";
        if (state == "maint" && ends_sessions_) commands += "shutdown sessions server " + server + ";";
      }
      if (commands.empty()) return pass("they are so already");
      commands.pop_back();  // an empty command is an unknown one
      step.begin_effect();
      const std::string said = tidy(ask(socket, commands, until), 160);
      if (!said.empty()) return fail(Cause::content, socket + " said: " + said);
      return pass("the servers were set");
    });
  }

  Result compare(const Attempt& attempt, const Wanted& wanted) const {
    return at_each(attempt, [&](const std::string& socket, Duration until) {
      const auto seen = states(socket, until);
      for (const auto& [server, state] : wanted) {
        const auto at = seen.find(server);
        const std::string now = at == seen.end() ? "unknown" : at->second;
        if (now != state) return fail(Cause::content, socket + ": " + server + " is " + now + " and not " + state);
      }
      return pass("the servers are as wanted");
    });
  }

  // All of them; the first that does not pass is the answer.
  template <typename Work>
  Result at_each(const Attempt& attempt, Work work) const {
    const Duration until = give_up_at(attempt);
    Result last = pass("");
    for (const std::string& socket : sockets_) {
      try {
        last = work(socket, until);
      } catch (const Stop& stop) {
        last = stop.result;
      }
      if (last.verdict != Verdict::pass) return last;
    }
    return last;
  }

  // "backend/server" to ready, drain or maint. Throws Stop.
  static std::map<std::string, std::string> states(const std::string& socket, Duration until) {
    const std::string answer = ask(socket, "show servers state", until);
    std::map<std::string, std::string> out;
    std::istringstream lines(answer);
    std::string line;
    if (!std::getline(lines, line) || line != "1") {
      throw Stop(fail(Cause::protocol, socket + " is not HAProxy's runtime socket: " + shown(line)));
    }
    while (std::getline(lines, line)) {
      if (line.empty() || line[0] == '#') continue;
      std::istringstream words(line);
      std::string backend_id, backend, server_id, server, address, operational, admin;
      words >> backend_id >> backend >> server_id >> server >> address >> operational >> admin;
      const long mask = std::strtol(admin.c_str(), nullptr, 10);
      constexpr long forced_maintenance = 0x01, forced_drain = 0x08;
      out[backend + "/" + server] = (mask & forced_maintenance) != 0 ? "maint"
                                    : (mask & forced_drain) != 0     ? "drain"
                                                                     : "ready";
    }
    return out;
  }

  // One connection for each question; HAProxy hangs up after its answer. Throws Stop.
  static std::string ask(const std::string& socket, const std::string& command, Duration until) {
    const int fd = reach(socket, until);
    struct Close {
      int fd;
      ~Close() { close(fd); }
    } const owner{fd};
    const std::string line = command + "\n";
    if (send(fd, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
      throw Stop(fail(Cause::protocol, socket + " does not read"));
    }
    std::string out;
    char part[16384];
    while (out.size() < std::size_t{4} * 1024 * 1024) {
      if (!wait_for(fd, POLLIN, until)) {
        throw Stop(fail(Cause::timeout, socket + " did not answer in time").fact("outcome", "timeout"));
      }
      const ssize_t n = recv(fd, part, sizeof part, 0);
      if (n <= 0) return out;
      out.append(part, static_cast<std::size_t>(n));
    }
    throw Stop(fail(Cause::protocol, socket + " says too much"));
  }

  static int reach(const std::string& socket, Duration until) {
    if (socket.front() == '/') {
      sockaddr_un path{};
      path.sun_family = AF_UNIX;
      if (socket.size() >= sizeof path.sun_path) throw Stop(fail(Cause::config, socket + " is too long for a socket"));
      std::memcpy(path.sun_path, socket.c_str(), socket.size() + 1);
      return connect_to(reinterpret_cast<const sockaddr*>(&path), sizeof path, until, socket);
    }
    const auto colon = socket.rfind(':');
    if (colon == std::string::npos) throw Stop(fail(Cause::config, socket + " is no ADDRESS:PORT"));
    const auto addresses = resolve(socket.substr(0, colon), std::atoll(socket.c_str() + colon + 1), until);
    const auto& first = addresses.front();
    return connect_to(reinterpret_cast<const sockaddr*>(&first.storage), first.length, until, socket);
  }

  std::vector<std::string> sockets_;
  Wanted servers_, undo_;
  bool ends_sessions_;
};

}  // namespace

VITAL_ACTION(Set, "haproxy.set", "1.0", "the state of servers at HAProxy's runtime socket", options)
