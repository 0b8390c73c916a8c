// Five ways to ask for TLS; see starttls.hpp.
#include "starttls.hpp"

#include "../mail/codec.hpp"

namespace vital::tls {

using net::Framing;

namespace {

// LDAPMessage{1, extendedReq{1.3.6.1.4.1.1466.20037}} and LDAPMessage{2, unbindRequest}, RFC 4511.
const std::string ldap_start(
    "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
    "1.3.6.1.4.1.1466.20037",
    31);
const std::string ldap_unbind("\x30\x05\x02\x01\x02\x42\x00", 7);
// SSLRequest: length 8, code 80877103.
const std::string postgres_ssl("\x00\x00\x00\x08\x04\xd2\x16\x2f", 8);

bool is_smtp_good(std::string_view answer) {
  const auto reply = mail::parse_smtp(answer);
  return reply && reply->code / 100 == 2;
}
bool offers_starttls(std::string_view answer) {
  return is_smtp_good(answer) && mail::smtp_offers(answer, "STARTTLS").has_value();
}
bool is_imap_greeting(std::string_view answer) {
  const auto line = mail::parse_imap(answer);
  return line.tag == "*" && (line.word == "OK" || line.word == "PREAUTH");
}
bool is_imap_yes(std::string_view answer) {
  const auto line = mail::parse_imap(answer);
  return line.tag == "a" && line.word == "OK";
}
bool is_pop_yes(std::string_view answer) {
  const auto line = mail::parse_pop(answer);
  return line && line->is_ok;
}
// resultCode 0 of an extendedResp: the message's number, then the operation, then an enumeration.
bool is_ldap_yes(std::string_view answer) {
  const size_t operation = answer.find('\x78');
  if (operation == std::string_view::npos) return false;
  const size_t code = answer.find(std::string_view("\x0a\x01", 2), operation);
  return code != std::string_view::npos && code + 2 < answer.size() && answer[code + 2] == '\0';
}
bool is_postgres_yes(std::string_view answer) { return answer == "S"; }

}  // namespace

Framing ldap_message(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (bytes[0] != '\x30') return Framing::broken("it does not speak LDAP");
  if (bytes.size() < 2) return {};
  const auto first = static_cast<unsigned char>(bytes[1]);
  size_t header = 2;
  size_t length = first;
  if (first >= 0x80) {  // the length in that many bytes more; Active Directory always takes four
    const size_t count = first & 0x7fU;
    if (count == 0 || count > 4) return Framing::broken("it does not speak LDAP");
    if (bytes.size() < 2 + count) return {};
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | static_cast<unsigned char>(bytes[2 + i]);
    header += count;
  }
  if (length > 16 * 1024) return Framing::broken("it announces a message of absurd length");
  return bytes.size() < header + length ? Framing{} : Framing::whole(header + length);
}

Framing one_byte(std::string_view bytes) { return bytes.empty() ? Framing{} : Framing::whole(1); }

std::vector<Turn> turns_before(StartTls protocol) {
  using mail::line;
  using mail::smtp_reply;
  switch (protocol) {
    case StartTls::none:
      return {};
    case StartTls::smtp:
      return {{"", "greeting", smtp_reply, is_smtp_good, "it turns visitors away"},
              {"EHLO vitald\r\n", "answer to EHLO", smtp_reply, offers_starttls, "it does not offer STARTTLS"},
              {"STARTTLS\r\n", "answer to STARTTLS", smtp_reply, is_smtp_good, "it refuses STARTTLS"}};
    case StartTls::imap:
      return {{"", "greeting", line, is_imap_greeting, "it turns visitors away"},
              {"a STARTTLS\r\n", "answer to STARTTLS", line, is_imap_yes, "it refuses STARTTLS"}};
    case StartTls::pop3:
      return {{"", "greeting", line, is_pop_yes, "it turns visitors away"},
              {"STLS\r\n", "answer to STLS", line, is_pop_yes, "it refuses STLS"}};
    case StartTls::ldap:
      return {{ldap_start, "answer to StartTLS", ldap_message, is_ldap_yes, "it refuses StartTLS"}};
    case StartTls::postgres:
      return {{postgres_ssl, "answer to SSLRequest", one_byte, is_postgres_yes, "it does not offer TLS"}};
  }
  return {};
}

Farewell farewell(StartTls protocol) {
  switch (protocol) {
    case StartTls::smtp:
      return {"QUIT\r\n", mail::smtp_reply};
    case StartTls::imap:
      return {"b LOGOUT\r\n", mail::line};
    case StartTls::pop3:
      return {"QUIT\r\n", mail::line};
    case StartTls::ldap:
      return {ldap_unbind, nullptr};
    case StartTls::none:
    case StartTls::postgres:
      break;
  }
  return {};
}

}  // namespace vital::tls
