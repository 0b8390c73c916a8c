// Binding, what a bind that fails says, and what a reload keeps.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;

namespace {

struct Directory {
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vitald-publish-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

std::string refusal(const FrontOptions& options) {
  Board board;
  try {
    const Front front(options, board);
  } catch (const FrontError& e) {
    return e.what();
  }
  return "";
}

unsigned mode_of(const std::string& path) {
  struct stat s {};
  return ::lstat(path.c_str(), &s) == 0 ? s.st_mode & 07777U : 0;
}

}  // namespace

TEST_CASE("several addresses are served, IPv6 and IPv4 side by side or as one") {
  Board board;
  FrontOptions options;
  options.health = {"127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "[::]:0"};
  Front front(options, board);
  front.start();
  const auto addresses = front.health_addresses();
  REQUIRE(addresses.size() == 4);
  for (const std::string& address : addresses) {
    INFO(address);
    CHECK_FALSE(address.ends_with(":0"));
    const std::string to = address.starts_with("[::]") ? "127.0.0.1" + address.substr(4) : address;
    CHECK(ask(to, "GET /metrics HTTP/1.0\r\n\r\n").code() == 200);
  }
}

TEST_CASE("an address that cannot be had is one line that names it and says why") {
  RunningFront front;
  FrontOptions options;
  options.health = {front.health};
  const std::string used = refusal(options);
  CHECK(used.starts_with("listen.health: cannot listen on " + front.health + ": Address already in use"));
  options.health = {"203.0.113.1:80"};
  CHECK(
      refusal(options).starts_with("listen.health: cannot listen on 203.0.113.1:80: Cannot assign requested address"));
  options.health = {"somewhere"};
  CHECK(refusal(options).starts_with("listen.health: \"somewhere\" is not an address"));
  options.health = {};
  options.haproxy = {"127.0.0.1:99999"};
  CHECK(refusal(options).starts_with("listen.haproxy: \"127.0.0.1:99999\""));
  options.haproxy = {};
  options.health = {"127.0.0.1:0"};
  options.health.front().proxy_protocol = {"10/8"};
  CHECK(refusal(options).starts_with("proxy_protocol: \"10/8\" is not a network"));
  for (const std::string& line : {used, refusal(options)}) CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("a reload keeps the addresses that stay, with their connections, and moves the others without a gap") {
  RunningFront front;
  const std::string port = front.health.substr(front.health.rfind(':'));
  Client kept(front.health);
  kept.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(kept.receive_answer().code() == 200);

  FrontOptions wider = front.options;
  wider.health = {"0.0.0.0" + port};  // overlaps with the address it replaces
  wider.health.front().details = ShowDetails::never;
  front.front.reconfigure(wider);
  CHECK(front.front.health_addresses() == std::vector<std::string>{"0.0.0.0" + port});
  CHECK(ask("127.0.0.2" + port, "GET /health HTTP/1.0\r\n\r\n").body() == "{\"status\":\"pass\"}\n");
  kept.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(kept.receive_answer().code() == 200);

  FrontOptions more = wider;
  more.health.emplace_back("127.0.0.1:0");
  more.haproxy.clear();
  front.front.reconfigure(more);
  CHECK(front.front.health_addresses().front() == "0.0.0.0" + port);
  CHECK(ask(front.front.health_addresses().back(), "GET /health HTTP/1.0\r\n\r\n").code() == 200);
  CHECK(front.front.haproxy_addresses().empty());
}

TEST_CASE("a reload that cannot be served whole changes nothing") {
  RunningFront front;
  RunningFront other;
  FrontOptions wanted = front.options;
  wanted.health = {"127.0.0.1:0", other.health};
  CHECK_THROWS_AS(front.front.reconfigure(wanted), FrontError);
  CHECK(front.front.health_addresses() == std::vector<std::string>{front.health});
  CHECK(front.get("/health").code() == 200);
  CHECK(other.get("/health").code() == 200);
}

TEST_CASE("after a reload a second agent still cannot share the port") {
  RunningFront front;
  const std::string port = front.health.substr(front.health.rfind(':'));
  FrontOptions wider = front.options;
  wider.health = {"0.0.0.0" + port};
  front.front.reconfigure(wider);
  FrontOptions second;
  second.health = {"0.0.0.0" + port};
  CHECK(refusal(second).find("Address already in use") != std::string::npos);
}

TEST_CASE("the admin socket has its mode, is removed at the end, and stays when it is another's") {
  const Directory directory;
  const std::string path = directory.path + "/run/admin.sock";
  {
    RunningFront front([&](FrontOptions& o) { o.admin = AdminSocket{path, 0640, ""}; });
    CHECK(mode_of(path) == 0640);
    CHECK(ask(path, "GET /health HTTP/1.0\r\n\r\n").code() == 200);
    FrontOptions second;
    second.admin = AdminSocket{path, 0660, ""};
    CHECK(refusal(second) == "listen.admin: cannot listen on " + path + ": another agent answers there");
    FrontOptions opened = front.options;
    opened.admin->mode = 0666;
    front.front.reconfigure(opened);
    CHECK(mode_of(path) == 0666);
    CHECK(ask(path, "GET /health HTTP/1.0\r\n\r\n").code() == 200);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a socket file that nobody answers on is taken over; anything else in the way is an error") {
  const Directory directory;
  const std::string path = directory.path + "/admin.sock";
  {
    const UniqueFd left(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), std::begin(at.sun_path));
    REQUIRE(::bind(left.get(), static_cast<const sockaddr*>(static_cast<const void*>(&at)), sizeof at) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  {
    RunningFront front([&](FrontOptions& o) { o.admin = AdminSocket{path, 0600, ""}; });
  }
  std::ofstream(path) << "mine";
  FrontOptions options;
  options.admin = AdminSocket{path, 0600, ""};
  CHECK(refusal(options).find("a file that is no socket is in the way") != std::string::npos);
  CHECK(std::filesystem::exists(path));
  options.admin = AdminSocket{directory.path + "/a/b/admin.sock", 0600, ""};
  CHECK(refusal(options).find("its directory does not exist") != std::string::npos);
  options.admin = AdminSocket{"/" + std::string(200, 'x'), 0600, ""};
  CHECK(refusal(options).find("the path must have 1 to 107 bytes") != std::string::npos);
}

TEST_CASE("a socket whose group is not on this host keeps the agent's own") {
  const Directory directory;
  const std::string path = directory.path + "/g.sock";
  const RunningFront front([&](FrontOptions& o) { o.admin = AdminSocket{path, 0660, "no-such-group"}; });
  struct stat there {};
  REQUIRE(::stat(path.c_str(), &there) == 0);
  CHECK(there.st_gid == ::getegid());
  CHECK((there.st_mode & 0777U) == 0660U);
}

TEST_CASE("write requests reach the agent's loop through the admin socket only, with who asks") {
  const Directory directory;
  const std::string path = directory.path + "/admin.sock";
  std::thread::id handled_on;
  AdminRequest seen;
  RunningFront front(
      [&](FrontOptions& o) {
        o.admin = AdminSocket{path, 0600, ""};
      },
      [&](AdminRequest request, const AdminReply& reply) {
        handled_on = std::this_thread::get_id();
        seen = std::move(request);
        reply({202, "{\"id\":1}\n"});
      });
  const std::string request =
      "POST /api/v1/maintenance?for=1h&service=web HTTP/1.1\r\nContent-Length: 14\r\nConnection: "
      "close\r\n\r\n{\"reason\":"
      "\"x\"}";
  const Received got = ask(path, request);
  CHECK(got.code() == 202);
  CHECK(got.has("Content-Type: application/json\r\n"));
  CHECK(got.body() == "{\"id\":1}\n");
  CHECK(got.end == End::fin);
  CHECK(handled_on == front.agent_thread.get_id());
  CHECK(seen.method == "POST");
  CHECK(seen.path == "/api/v1/maintenance");
  CHECK(seen.query == QueryList{{"for", "1h"}, {"service", "web"}});
  CHECK(seen.body == "{\"reason\":\"x\"}");
  CHECK(seen.uid == ::getuid());
  CHECK(seen.pid == ::getpid());

  CHECK(ask(path, "DELETE /api/v1/maintenance HTTP/1.0\r\n\r\n").code() == 202);
  CHECK(seen.method == "DELETE");
  CHECK(ask(path, "POST /health HTTP/1.0\r\n\r\n").code() == 200);
  CHECK(ask(path, "DELETE /health HTTP/1.0\r\n\r\n").code() == 405);
  CHECK(ask(path, "GET /api/v1/status HTTP/1.0\r\n\r\n").code() == 200);
  seen = {};
  const Received refused = ask(front.health, request);
  CHECK(refused.code() == 403);
  CHECK(refused.has("use the admin socket"));
  CHECK(ask(front.health, "DELETE /api/v1/maintenance HTTP/1.0\r\n\r\n").code() == 405);
  CHECK(seen.method.empty());
}

TEST_CASE("a write request that throws is a 500, one that is never answered a 504") {
  const Directory directory;
  const std::string path = directory.path + "/admin.sock";
  std::vector<AdminReply> kept;
  RunningFront front(
      [&](FrontOptions& o) {
        o.admin = AdminSocket{path, 0600, ""};
        o.limits.admin_time = 100ms;
      },
      [&](const AdminRequest& request, const AdminReply& reply) {
        if (request.path == "/api/throws") throw std::runtime_error("no such thing");
        kept.push_back(reply);
      });
  const Received thrown = ask(path, "POST /api/throws HTTP/1.0\r\n\r\n");
  CHECK(thrown.code() == 500);
  CHECK(thrown.has("no such thing"));
  const Received late = ask(path, "POST /api/never HTTP/1.0\r\n\r\n");
  CHECK(late.code() == 504);
  CHECK(late.end == End::fin);
  front.agent.post([&kept] {
    for (const AdminReply& reply : kept) reply({200, "too late"});
    kept.clear();
  });
  CHECK(ask(path, "GET /health HTTP/1.0\r\n\r\n").code() == 200);
}

TEST_CASE("who waits for the agent when the front stops is told so, and an answer that comes later goes nowhere") {
  const Directory directory;
  std::vector<AdminReply> kept;
  Loop agent;
  Board board;
  auto client = std::unique_ptr<Client>();
  {
    FrontOptions options;
    options.admin = AdminSocket{directory.path + "/admin.sock", 0600, ""};
    Front front(options, board, {&agent, [&](const AdminRequest&, const AdminReply& reply) { kept.push_back(reply); }});
    front.start();
    client = std::make_unique<Client>(options.admin->path);
    client->send("POST /api/v1/reload HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 500 && kept.empty(); ++i) agent.run_for(10ms);
    REQUIRE(kept.size() == 1);
  }
  kept.front()({200, "{}"});
  const Received got = client->receive();
  CHECK(got.code() == 504);
  CHECK(got.end == End::fin);
}

TEST_CASE("without an agent write requests are not implemented") {
  const Directory directory;
  Board board;
  FrontOptions options;
  options.admin = AdminSocket{directory.path + "/admin.sock", 0600, ""};
  Front front(options, board);
  front.start();
  CHECK(ask(options.admin->path, "POST /api/v1/reload HTTP/1.0\r\n\r\n").code() == 501);
}
