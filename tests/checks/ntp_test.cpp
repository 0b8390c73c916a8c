// SNTP packets and what they mean.
#include <catch2/catch.hpp>

#include "ntp/packet.hpp"

using namespace vital::ntp;
using vital::check::Cause;
using vital::check::Verdict;

namespace {

std::string packet(int leap, int stratum, const char* reference, uint32_t received, uint32_t sent, uint64_t cookie) {
  std::string out = question(0);
  out[0] = static_cast<char>(leap << 6 | 4 << 3 | 4);
  out[1] = static_cast<char>(stratum);
  out.replace(12, 4, std::string(reference, 4));
  for (size_t i = 0; i < 8; ++i) out[24 + i] = static_cast<char>(cookie >> (56 - 8 * i) & 0xff);
  for (size_t i = 0; i < 4; ++i) {
    out[32 + i] = static_cast<char>(received >> (24 - 8 * i) & 0xff);
    out[40 + i] = static_cast<char>(sent >> (24 - 8 * i) & 0xff);
  }
  return out;
}

}  // namespace

TEST_CASE("an answer is to our question, or none") {
  const std::string good = packet(0, 2, "\x0a\0\0\x05", 3900000000U, 3900000001U, 77);
  const auto answer = parse(good, 77);
  REQUIRE(answer);
  CHECK(answer->stratum == 2);
  CHECK(answer->reference == "10.0.0.5");
  CHECK(answer->received == 3900000000.0 - 2208988800.0);
  CHECK(answer->sent - answer->received == 1);
  CHECK_FALSE(parse(good, 78));
  CHECK_FALSE(parse(good.substr(0, 47), 77));
  CHECK_FALSE(parse(question(77), 77));  // a question given back
  // The era that begins in 2036.
  CHECK(parse(packet(0, 1, "GPS\0", 5, 5, 77), 77)->received == 4294967296.0 + 5 - 2208988800.0);
  CHECK(parse(packet(0, 1, "GPS\0", 5, 5, 77), 77)->reference == "GPS");
}

TEST_CASE("what an answer means") {
  struct Case {
    int leap;
    int stratum;
    const char* reference;
    double offset;
    Verdict verdict;
    Cause cause;
  };
  const Case table[] = {
      {0, 2, "\x0a\0\0\x05", 0.01, Verdict::pass, Cause::none},
      {1, 2, "\x0a\0\0\x05", 0.01, Verdict::pass, Cause::none},  // a leap second is coming
      {0, 2, "\x0a\0\0\x05", 0.2, Verdict::warn, Cause::content},
      {0, 2, "\x0a\0\0\x05", -0.2, Verdict::warn, Cause::content},
      {0, 2, "\x0a\0\0\x05", -2, Verdict::fail, Cause::content},
      {0, 4, "\x0a\0\0\x05", 0, Verdict::fail, Cause::content},  // stratum above 3
      {3, 2, "\x0a\0\0\x05", 0, Verdict::fail, Cause::content},
      {3, 0, "\0\0\0\0", 0, Verdict::fail, Cause::content},
      {0, 16, "\0\0\0\0", 0, Verdict::fail, Cause::content},
      {3, 0, "RATE", 0, Verdict::warn, Cause::protocol},
      {3, 0, "DENY", 0, Verdict::unknown, Cause::auth},
  };
  Demands demands;
  demands.max_stratum = 3;
  for (const Case& c : table) {
    auto answer = *parse(packet(c.leap, c.stratum, c.reference, 0, 0, 7), 7);
    answer.received = answer.sent = 1000.05 + c.offset;
    const auto result = judge(answer, 1000, 1000.1, demands, "here");
    CAPTURE(result.text);
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == c.cause);
  }
}
