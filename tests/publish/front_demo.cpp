// The front without an agent, for tests that need a process: serves the canned node on free ports, says which on its
// first lines, and changes its mood by lines on standard input: pass, warn, fail, drain, maintenance, pending, stall.
// An end of input ends it.
#include <iostream>
#include <string>

#include "publish/front.hpp"
#include "tests/publish/canned.hpp"

int main(int argc, char** argv) {
  using vital::canned::Mood;
  vital::Board board;
  const auto show = [&](Mood mood) {
    const vital::Now now = vital::Loop::both();
    board.view.put(vital::canned::view(mood, now));
    board.valid_until.store(now.mono + std::chrono::hours(24));
  };
  show(Mood::pass);
  vital::FrontOptions options;
  options.health = {argc > 1 ? argv[1] : "127.0.0.1:0"};
  options.haproxy = {argc > 2 ? argv[2] : "127.0.0.1:0"};
  options.health.front().proxy_protocol = {"127.0.0.0/8"};
  vital::Front front(options, board);
  front.start();
  std::cout << "health " << front.health_addresses().front() << "\nhaproxy " << front.haproxy_addresses().front()
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "pass") show(Mood::pass);
    if (line == "warn") show(Mood::warn);
    if (line == "fail") show(Mood::fail);
    if (line == "drain") show(Mood::drain);
    if (line == "maintenance") show(Mood::maintenance);
    if (line == "pending") show(Mood::pending);
    if (line == "stall") board.valid_until.store(vital::Loop::now());
    std::cout << "ok " << line << std::endl;
  }
}
