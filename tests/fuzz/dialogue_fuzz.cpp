// The wires that checks of ours read themselves: the first byte says which protocol, the rest is what a server said.
// What holds for any input: a framer never claims bytes it was not given, says the same whether the bytes come at once
// or one by one, and what it calls whole can be read.
//
//   dialogue_fuzz corpus/ tests/data/checks/dialogue-corpus -max_len=4096
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base64.hpp"
#include "dns/verdict.hpp"
#include "mail/codec.hpp"
#include "mail/verdict.hpp"
#include "memcached/text.hpp"
#include "net/framing.hpp"
#include "ntp/packet.hpp"
#include "redis/resp.hpp"
#include "redis/verdict.hpp"
#include "tls/starttls.hpp"

namespace {

using vital::net::Framing;
using Status = Framing::Status;

void claim(bool holds) {
  if (!holds) std::abort();
}

// Gives the first message, or nothing.
std::string_view framed(vital::net::Framer framer, std::string_view bytes) {
  const Framing all = framer(bytes);
  claim(all.status != Status::whole || (all.length > 0 && all.length <= bytes.size()));
  if (bytes.size() < 1000) {
    Framing pieces;
    for (size_t n = 1; n <= bytes.size() && pieces.status == Status::more; ++n) pieces = framer(bytes.substr(0, n));
    claim(pieces.status == all.status && pieces.length == all.length);
  }
  return all.status == Status::whole ? bytes.substr(0, all.length) : std::string_view();
}

void redis(std::string_view bytes) {
  using namespace vital::redis;
  const std::string_view message = framed(frame, bytes);
  if (message.empty()) return;
  const auto reply = parse(message);
  claim(reply.has_value());
  if (reply->is_error()) claim(!error_meaning(*reply, "X").text.empty());
  if (const auto view = sentinel_view(*reply)) disagreement(Info("role:master\r\n"), *view, "m");
  claim(judge(Info(reply->text), {}, "t", 0).text.size() < 100000);
}

void mail(std::string_view bytes) {
  using namespace vital::mail;
  const std::string_view reply = framed(smtp_reply, bytes);
  if (!reply.empty()) {
    const auto read = parse_smtp(reply);
    claim(read.has_value());
    for (const At at : {At::greeting, At::login, At::recipient}) claim(!smtp_refusal(*read, at, "X").text.empty());
    smtp_offers(reply, "AUTH");
  }
  const std::string_view one = framed(line, bytes);
  imap_refusal(parse_imap(one), "LOGIN");
  if (const auto pop = parse_pop(one)) pop_refusal(*pop, "PASS");
  claim(vital::check::base64(bytes).size() == (bytes.size() + 2) / 3 * 4);
}

void memcached(std::string_view bytes) {
  using namespace vital::memcached;
  const std::string_view said = framed(answer, bytes);
  value_of(said);
  claim(!refusal(said, "X").text.empty());
  judge(stats_of(said), {}, Sample{1, 1}, "t");
}

void dns(std::string_view bytes) {
  using namespace vital::dns;
  framed(with_length, bytes);
  const auto answer = parse(bytes);
  if (!answer) return;
  claim(answer->answers.size() <= 100 && answer->authority.size() <= 100);
  judge(*answer, {}, "a A");
  serial_of(*answer);
}

void ntp(std::string_view bytes) {
  using namespace vital::ntp;
  const auto answer = parse(bytes, 0);
  if (answer) judge(*answer, 1, 2, {}, "t");
}

void starttls(std::string_view bytes) {
  using namespace vital::tls;
  for (const auto protocol : {StartTls::smtp, StartTls::imap, StartTls::pop3, StartTls::ldap, StartTls::postgres}) {
    for (const Turn& turn : turns_before(protocol)) {
      const std::string_view answer = framed(turn.framer, bytes);
      if (!answer.empty()) turn.is_yes(answer);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (*data) {
    case 'R':
      redis(bytes);
      break;
    case 'M':
      mail(bytes);
      break;
    case 'D':
      dns(bytes);
      break;
    case 'N':
      ntp(bytes);
      break;
    case 'C':
      memcached(bytes);
      break;
    case 'S':
      starttls(bytes);
      break;
    default:
      break;
  }
  return 0;
}
