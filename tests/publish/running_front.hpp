// A real front on free ports, serving the canned node, and the loop that stands for the agent's.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "publish/front.hpp"
#include "tests/publish/canned.hpp"
#include "tests/publish/client.hpp"

namespace vital::test {

struct RunningFront {
  using Mood = canned::Mood;

  explicit RunningFront(const std::function<void(FrontOptions&)>& change = {}, AdminHandler handler = {},
                        const std::function<void(Front&)>& before_start = {})
      : options(defaults(change)),
        front(options, board, AdminPort{&agent, std::move(handler)}),
        agent_thread([this] { agent.run(); }) {
    show(Mood::pass);
    if (before_start) before_start(front);
    front.start();
    health = front.health_addresses().front();
    haproxy = front.haproxy_addresses().front();
  }
  ~RunningFront() {
    agent.stop();
    agent_thread.join();
  }

  static FrontOptions defaults(const std::function<void(FrontOptions&)>& change) {
    FrontOptions out;
    out.health = {"127.0.0.1:0"};
    out.haproxy = {"127.0.0.1:0"};
    if (change) change(out);
    return out;
  }

  void show(Mood mood) {
    const Now now = Loop::both();
    board.view.put(canned::view(mood, now));
    board.valid_until.store(now.mono + std::chrono::hours(1));
  }
  Received get(const std::string& target, const std::string& headers = "") const {
    return ask(health, "GET " + target + " HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n");
  }

  FrontOptions options;
  Board board;
  Loop agent;
  Front front;
  std::thread agent_thread;
  std::string health;
  std::string haproxy;
};

}  // namespace vital::test
