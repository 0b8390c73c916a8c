// Reads answers and judges them; see packet.hpp.
#include "packet.hpp"

#include <cmath>

#include "../net/text.hpp"

namespace vital::ntp {

using check::Cause;
using check::Result;

namespace {

uint64_t number(std::string_view bytes, size_t at, size_t count) {
  uint64_t out = 0;
  for (size_t i = 0; i < count; ++i) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

// Seconds since 1900 in 32.32 bits. The era ends in 2036: what is before 1968 is of the next one.
double unix_time(std::string_view bytes, size_t at) {
  const uint64_t raw = number(bytes, at, 8);
  double seconds = static_cast<double>(raw >> 32);
  if ((raw >> 63) == 0) seconds += 4294967296.0;
  return seconds - 2208988800.0 + static_cast<double>(raw & 0xffffffffU) / 4294967296.0;
}

double short_time(std::string_view bytes, size_t at) { return static_cast<double>(number(bytes, at, 4)) / 65536.0; }

std::string in_words(double seconds) {
  return net::in_words(std::chrono::nanoseconds(static_cast<long long>(std::min(seconds, 1e9) * 1e9)));
}

}  // namespace

std::string question(uint64_t cookie) {
  std::string out(packet_size, '\0');
  out[0] = '\x23';  // version 4, client
  for (size_t i = 0; i < 8; ++i) out[40 + i] = static_cast<char>(cookie >> (56 - 8 * i) & 0xff);
  return out;
}

std::optional<Answer> parse(std::string_view bytes, uint64_t cookie) {
  if (bytes.size() < packet_size) return {};
  const auto first = static_cast<unsigned char>(bytes[0]);
  const bool is_answer = (first & 7) == 4 && (first >> 3 & 7) >= 3;
  if (!is_answer || number(bytes, 24, 8) != cookie) return {};
  Answer out;
  out.leap = first >> 6;
  out.stratum = static_cast<unsigned char>(bytes[1]);
  out.root_delay = short_time(bytes, 4);
  out.root_dispersion = short_time(bytes, 8);
  for (size_t i = 12; i < 16; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (out.stratum <= 1) {
      if (byte > 0x20 && byte < 0x7f) out.reference += bytes[i];
    } else {
      out.reference += (i > 12 ? "." : "") + std::to_string(byte);
    }
  }
  out.received = unix_time(bytes, 32);
  out.sent = unix_time(bytes, 40);
  return out;
}

Result judge(const Answer& answer, double asked, double heard, const Demands& demands, const std::string& target) {
  const double offset = ((answer.received - asked) + (answer.sent - heard)) / 2;
  const double delay = std::max(0.0, (heard - asked) - (answer.sent - answer.received));
  const std::string direction = offset > 0 ? " ahead of" : " behind";
  const auto decide = [&]() -> Result {
    if (answer.stratum == 0 && answer.leap == 3 && answer.reference == "RATE") {
      return check::warn(Cause::protocol, "it is alive, and asks us to ask less often (RATE)");
    }
    if (answer.stratum == 0 && (answer.reference == "DENY" || answer.reference == "RSTR")) {
      return check::unknown(Cause::auth, "it does not serve this host (" + answer.reference + ")");
    }
    if (answer.leap == 3 || answer.stratum == 0 || answer.stratum >= 16) {
      return check::fail(Cause::content, "it is not synchronised (stratum " + std::to_string(answer.stratum) + ")");
    }
    if (answer.stratum > demands.max_stratum) {
      return check::fail(Cause::content, "its stratum is " + std::to_string(answer.stratum) + ", expected at most " +
                                             std::to_string(demands.max_stratum));
    }
    const std::string words = "its clock is " + in_words(std::abs(offset)) + direction + " this host's";
    if (std::abs(offset) > demands.fail_offset) return check::fail(Cause::content, words);
    if (std::abs(offset) > demands.warn_offset) return check::warn(Cause::content, words);
    return check::pass(target + " is synchronised, stratum " + std::to_string(answer.stratum) + ", " +
                       in_words(std::abs(offset)) + direction + " this host");
  };
  Result result = decide();
  if (answer.stratum != 0) {
    result.measure("offset", offset, "s", demands.warn_offset, demands.fail_offset);
    result.measure("delay", delay, "s");
    result.measure("root_delay", answer.root_delay, "s");
    result.measure("root_dispersion", answer.root_dispersion, "s");
  }
  result.measure("stratum", answer.stratum, "", check::no_threshold, static_cast<double>(demands.max_stratum));
  result.fact("synchronised", answer.leap == 3 || answer.stratum == 0 || answer.stratum >= 16 ? "no" : "yes");
  if (!answer.reference.empty()) result.fact("reference", answer.reference);
  return result;
}

}  // namespace vital::ntp
