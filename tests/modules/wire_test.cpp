// The wire: what is written is read back, and nothing else is accepted.
#include "modules/wire.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace vital;

namespace {

std::string payload_of(const wire::ToAgent& message) {
  std::string out;
  REQUIRE(wire::append(out, message));
  return out.substr(4);
}

wire::Result full_result() {
  wire::Result out;
  out.probe = 0x1122334455667788ULL;
  out.result.verdict = Verdict::fail;
  out.result.cause = Cause::refused;
  out.result.text = "connecting to 192.0.2.1:80: refused";
  out.result.duration = Duration(1234567);
  out.result.phases = {{Phase::resolve, Duration(1)}, {Phase::exchange, Duration(2)}};
  out.result.measures = {{"latency", 0.0123, "s", std::numeric_limits<double>::quiet_NaN(), 2.0}};
  out.result.facts = {{"role", "primary"}};
  out.taken = Instant(Duration(99));
  out.worst_lag = Duration(5);
  out.left_children = true;
  return out;
}

}  // namespace

TEST_CASE("a result crosses the wire unchanged") {
  const wire::Result sent = full_result();
  const auto message = wire::decode_to_agent(payload_of(sent));
  REQUIRE(message);
  const auto& got = std::get<wire::Result>(*message);
  CHECK(got.probe == sent.probe);
  CHECK(got.result.verdict == Verdict::fail);
  CHECK(got.result.cause == Cause::refused);
  CHECK(got.result.text == sent.result.text);
  CHECK(got.result.duration == sent.result.duration);
  CHECK(got.result.phases == sent.result.phases);
  REQUIRE(got.result.measures.size() == 1);
  CHECK(got.result.measures[0].value == 0.0123);
  CHECK(std::isnan(got.result.measures[0].warn));
  CHECK(got.result.measures[0].fail == 2.0);
  CHECK(got.result.facts == sent.result.facts);
  CHECK(got.taken == sent.taken);
  CHECK(got.worst_lag == sent.worst_lag);
  CHECK(got.left_children);
}

TEST_CASE("a check's options cross the wire unchanged") {
  std::string out;
  REQUIRE(
      wire::append(out, wire::ToWorker(wire::Prepare{7, "db", "/x.so", {{"words", {"a", "", "c"}}, {"none", {}}}})));
  const auto message = wire::decode_to_worker(std::string_view(out).substr(4));
  REQUIRE(message);
  const auto& got = std::get<wire::Prepare>(*message);
  CHECK(got.instance == 7);
  CHECK(got.values == wire::Values{{"words", {"a", "", "c"}}, {"none", {}}});
}

TEST_CASE("no prefix of a message, and nothing longer, is a message") {
  const std::string whole = payload_of(full_result());
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(wire::decode_to_agent(whole.substr(0, n)));
  CHECK_FALSE(wire::decode_to_agent(whole + '\0'));
}

TEST_CASE("enumerators, counts and numbers that cannot be are refused") {
  std::string bad_verdict = payload_of(full_result());
  bad_verdict[9] = 4;
  CHECK_FALSE(wire::decode_to_agent(bad_verdict));
  std::string bad_cause = payload_of(full_result());
  bad_cause[10] = 13;
  CHECK_FALSE(wire::decode_to_agent(bad_cause));
  wire::Result infinite = full_result();
  infinite.result.measures[0].value = std::numeric_limits<double>::infinity();
  CHECK_FALSE(wire::decode_to_agent(payload_of(infinite)));
  wire::Result many = full_result();
  many.result.facts.resize(65);
  CHECK_FALSE(wire::decode_to_agent(payload_of(many)));
  CHECK_FALSE(wire::decode_to_agent("\x7f"));
  CHECK_FALSE(wire::decode_to_agent(""));
}

TEST_CASE("a worker's texts are cleaned when they are read") {
  wire::Result dirty = full_result();
  dirty.result.text = "two\nlines \x1b[31mred " + std::string(5000, 'x');
  const auto message = wire::decode_to_agent(payload_of(dirty));
  REQUIRE(message);
  const std::string& text = std::get<wire::Result>(*message).result.text;
  CHECK(text.starts_with("two lines [31mred x"));
  CHECK(text.size() <= 1024);
}

TEST_CASE("frames are cut from a stream however it arrives") {
  std::string stream;
  for (std::uint64_t n = 0; n < 5; ++n) wire::append(stream, wire::ToAgent(wire::Pong{n}));
  for (const std::size_t step : {1, 2, 3, 7, 1000}) {
    wire::FrameReader reader;
    std::uint64_t expected = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.add(std::string_view(stream).substr(at, step));
      while (const auto payload = reader.next()) {
        const auto message = wire::decode_to_agent(*payload);
        REQUIRE(message);
        CHECK(std::get<wire::Pong>(*message).number == expected++);
      }
    }
    CHECK(expected == 5);
    CHECK_FALSE(reader.is_broken());
  }
}

TEST_CASE("a frame beyond the limit is neither written nor waited for") {
  std::string out = "before";
  CHECK_FALSE(
      wire::append(out, wire::ToWorker(wire::Prepare{1, "c", "p", {{"v", {std::string(wire::max_frame, 'x')}}}})));
  CHECK(out == "before");
  wire::FrameReader reader;
  reader.add(std::string_view("\xff\xff\xff\x7f", 4));
  CHECK_FALSE(reader.next());
  CHECK(reader.is_broken());
}
