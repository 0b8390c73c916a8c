// How the front stops: nobody who has connected is sent away without an answer if he asks within a moment, and nobody
// can hold it. A balancer whose connection ends without an answer counts that as a failure of the node.
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using namespace std::chrono_literals;

namespace {

const std::string question = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

// A front that is told to stop while others talk to it.
class Stopping {
 public:
  explicit Stopping(const std::function<void(FrontLimits&)>& change = {})
      : front_(std::make_unique<Front>(make(change), board_)) {
    const Now now = Loop::both();
    board_.view.put(canned::view(canned::Mood::pass, now));
    board_.valid_until.store(now.mono + 1h);
    front_->start();
    health = front_->health_addresses().front();
    haproxy = front_->haproxy_addresses().front();
  }
  ~Stopping() {
    if (thread_.joinable()) thread_.join();
  }

  void wait_for_connections(std::uint64_t n) const {
    const Instant until = Loop::now() + 10s;
    while (front_->counters().connections_open != n && Loop::now() < until) std::this_thread::sleep_for(1ms);
    REQUIRE(front_->counters().connections_open == n);
  }
  // Returns when nobody new is let in any more.
  void begin() {
    began_ = Loop::now();
    thread_ = std::thread([this] { front_.reset(); });
    const Instant until = began_ + 10s;
    while (is_open() && Loop::now() < until) std::this_thread::sleep_for(1ms);
    REQUIRE_FALSE(is_open());
  }
  Duration end() {
    thread_.join();
    return Loop::now() - began_;
  }

  std::string health, haproxy;

 private:
  FrontOptions make(const std::function<void(FrontLimits&)>& change) const {
    FrontOptions out;
    out.health = {"127.0.0.1:0"};
    out.haproxy = {"127.0.0.1:0"};
    out.limits.last_first_time = out.limits.last_next_time = 1s + 900ms;
    if (change) change(out.limits);
    return out;
  }
  bool is_open() const {
    try {
      Client probe(health);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  Board board_;
  std::unique_ptr<Front> front_;
  std::thread thread_;
  Instant began_{};
};

}  // namespace

TEST_CASE("who has just connected and asks while the front stops is answered, once, and left in order") {
  Stopping front;
  Client fresh(front.health), kept(front.health), half(front.health), agent_check(front.haproxy);
  kept.send(question);
  CHECK(kept.receive_answer().end == End::still_open);
  half.send(question.substr(0, 10));
  front.wait_for_connections(4);
  front.begin();
  for (Client* client : {&fresh, &kept}) client->send(question);
  half.send(question.substr(10));
  agent_check.send("web\n");
  for (Client* client : {&fresh, &kept, &half}) {
    const Received got = client->receive();
    CHECK(got.code() == 200);
    CHECK(got.has("Connection: close\r\n"));
    CHECK(got.end == End::fin);
  }
  CHECK(agent_check.receive().bytes == "up ready 100%\n");
}

TEST_CASE("a stop waits for nobody longer than a moment") {
  Stopping front([](FrontLimits& limits) {
    limits.last_first_time = 60ms;
    limits.last_next_time = 30ms;
  });
  Client silent(front.health), kept(front.health), half(front.health);
  kept.send(question);
  CHECK(kept.receive_answer().end == End::still_open);
  half.send("GET /hea");
  front.wait_for_connections(3);
  front.begin();
  CHECK(silent.receive().end == End::fin);
  CHECK(kept.receive().bytes.empty());
  CHECK(half.receive().code() == 408);  // half a question has an answer, too
  CHECK(front.end() < 2s);
}

TEST_CASE("with nobody connected the front is gone at once") {
  Stopping front([](FrontLimits& limits) { limits.last_first_time = limits.last_next_time = 2s; });
  front.begin();
  CHECK(front.end() < 1s);
}
