// The rules; see verdict.hpp.
#include "verdict.hpp"

#include "../net/text.hpp"
#include "../words.hpp"

namespace vital::mail {

using check::Cause;
using check::Result;
using check::Verdict;

namespace {

std::string said(const std::string& doing, const std::string& text) {
  return doing + " was answered with " + net::quoted(check::tidy(text, 200), 200);
}

// The code of RFC 5530 or 3206 at the beginning of a text: "[AUTHENTICATIONFAILED] no" gives AUTHENTICATIONFAILED.
std::string code_in(const std::string& text) {
  if (text.empty() || text.front() != '[') return {};
  const size_t end = text.find_first_of("] ");
  return end == std::string::npos ? std::string() : text.substr(1, end - 1);
}

}  // namespace

Result smtp_refusal(const SmtpReply& reply, At at, const std::string& doing) {
  const std::string words = said(doing, std::to_string(reply.code) + " " + reply.text);
  if (reply.code == 421) return check::warn(Cause::protocol, "it is alive, and serves nobody now: " + words);
  if (reply.code == 530) return check::unknown(Cause::auth, "it wants TLS or a login first: " + words);
  switch (at) {
    case At::greeting:
    case At::hello:
      if (reply.is_transient()) return check::warn(Cause::protocol, "it is alive, and serves nobody now: " + words);
      return check::fail(Cause::protocol, "it turns visitors away: " + words);
    case At::login:
      // 454 is no word about our password: what it asks about passwords does not answer.
      if (reply.is_transient()) return check::fail(Cause::content, "it cannot check passwords now: " + words);
      return check::unknown(Cause::auth, "it rejects our user or password: " + words);
    case At::sender:
    case At::recipient:
      if (reply.is_transient()) return check::fail(Cause::content, "it takes no mail now: " + words);
      return check::fail(Cause::content, "it refuses this mail: " + words);
    case At::reset:
      break;
  }
  return check::fail(Cause::protocol, words);
}

Result imap_refusal(const ImapLine& line, const std::string& doing) {
  const std::string words = said(doing, line.word + " " + line.rest);
  const std::string code = code_in(line.rest);
  if (line.word == "BYE") return check::warn(Cause::protocol, "it is alive, and serves nobody now: " + words);
  if (code == "UNAVAILABLE") return check::fail(Cause::content, "what it needs is not available: " + words);
  if (code == "AUTHENTICATIONFAILED" || code == "AUTHORIZATIONFAILED" || code == "EXPIRED" ||
      code == "PRIVACYREQUIRED" || code == "NOPERM" || (doing == "LOGIN" && !line.word.empty())) {
    return check::unknown(Cause::auth, "it rejects our login: " + words);
  }
  if (line.word == "NO") return check::fail(Cause::content, words);
  return check::fail(Cause::protocol, words);
}

Result pop_refusal(const PopLine& line, const std::string& doing) {
  const std::string words = said(doing, "-ERR " + line.text);
  const std::string code = code_in(line.text);
  if (code == "SYS/TEMP" || code == "SYS/PERM")
    return check::fail(Cause::content, "what it needs is not available: " + words);
  if (code == "IN-USE" || code == "LOGIN-DELAY")
    return check::warn(Cause::content, "somebody else reads that mailbox: " + words);
  if (code == "AUTH" || doing == "USER" || doing == "PASS")
    return check::unknown(Cause::auth, "it rejects our login: " + words);
  if (doing == "the greeting") return check::warn(Cause::protocol, "it is alive, and serves nobody now: " + words);
  return check::fail(Cause::content, words);
}

}  // namespace vital::mail
