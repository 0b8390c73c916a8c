// The badge: which word it shows, and that a name cannot become markup in it.
#include "publish/badge.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/publish/running_front.hpp"

using namespace vital;
using namespace vital::test;
using canned::Mood;

TEST_CASE("a badge shows the word that is told, in its text and in its label") {
  const Now now = Loop::both();
  const auto word = [&](Mood mood) { return std::string(badge_word(canned::view(mood, now)->services.at(0))); };
  CHECK(word(Mood::pass) == "pass");
  CHECK(word(Mood::warn) == "warn");
  CHECK(word(Mood::fail) == "fail");
  CHECK(word(Mood::drain) == "drain");
  CHECK(word(Mood::maintenance) == "maintenance");
  CHECK(word(Mood::pending) == "pending");
  for (const char* shown : {"pass", "warn", "fail", "drain", "stalled"}) {
    const std::string svg = badge_svg("web", shown);
    INFO(svg);
    CHECK(svg.find(std::string(">") + shown + "</text>") != std::string::npos);
    CHECK(svg.find(std::string("aria-label=\"web: ") + shown + "\"") != std::string::npos);
    CHECK(svg.find(std::string("<title>web: ") + shown) != std::string::npos);
  }
}

TEST_CASE("a name stays text in a badge, and has an end") {
  const std::string svg = badge_svg("<a b=\"c\">&" + std::string(1000, 'x'), "pass");
  CHECK(svg.find("<a ") == std::string::npos);
  CHECK(svg.find("&lt;a b=&quot;c&quot;&gt;&amp;") != std::string::npos);
  CHECK(svg.size() < 1500);
}

TEST_CASE("a badge is a picture that may be kept for ten seconds, the same bytes while nothing changes") {
  RunningFront front;
  const Received web = ask(front.health, "GET /badge.svg?service=web HTTP/1.0\r\n\r\n");
  CHECK(web.code() == 200);
  CHECK(web.has("Content-Type: image/svg+xml\r\n"));
  CHECK(web.has("Cache-Control: public, max-age=10, must-revalidate\r\n"));
  CHECK(web.body().find("web: pass") != std::string::npos);
  CHECK(ask(front.health, "GET /badge.svg?service=web HTTP/1.0\r\n\r\n").body() == web.body());
  CHECK(ask(front.health, "GET /badge.svg HTTP/1.0\r\n\r\n").code() == 200);
  CHECK(ask(front.health, "GET /badge.svg?service=nope HTTP/1.0\r\n\r\n").code() == 404);
}
