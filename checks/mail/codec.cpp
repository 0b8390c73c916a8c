// Reads and writes the lines of mail; see codec.hpp.
#include "codec.hpp"

#include <cctype>

namespace vital::mail {

using net::Framing;

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::toupper(static_cast<unsigned char>(a[i])) != std::toupper(static_cast<unsigned char>(b[i]))) return false;
  }
  return true;
}

}  // namespace

Framing smtp_reply(std::string_view bytes) {
  size_t at = 0;
  std::string_view code;
  for (int lines = 0; lines < 100; ++lines) {
    const std::string_view rest = bytes.substr(at);
    // What is no reply shows in its first four bytes.
    for (size_t i = 0; i < 3 && i < rest.size(); ++i) {
      if (!is_digit(rest[i])) return Framing::broken("what it says is no SMTP reply");
    }
    if (rest.size() > 3 && std::string_view(" -\r\n").find(rest[3]) == std::string_view::npos) {
      return Framing::broken("what it says is no SMTP reply");
    }
    const Framing found = line(rest);
    if (found.status != Framing::Status::whole) return found;
    if (found.length < 4) return Framing::broken("what it says is no SMTP reply");
    if (code.empty()) code = rest.substr(0, 3);
    if (rest.substr(0, 3) != code) return Framing::broken("the lines of its reply have different codes");
    at += found.length;
    if (rest[3] != '-') return Framing::whole(at);
  }
  return Framing::broken("its reply has more than 100 lines");
}

std::optional<SmtpReply> parse_smtp(std::string_view bytes) {
  const Framing whole = smtp_reply(bytes);
  if (whole.status != Framing::Status::whole || whole.length != bytes.size()) return {};
  SmtpReply reply;
  reply.code = (bytes[0] - '0') * 100 + (bytes[1] - '0') * 10 + (bytes[2] - '0');
  while (!bytes.empty()) {
    const size_t length = line(bytes).length;
    std::string_view one = without_end(bytes.substr(0, length));
    bytes.remove_prefix(length);
    one.remove_prefix(one.size() > 3 ? 4 : 3);
    reply.text += (reply.text.empty() ? "" : " ") + std::string(one);
  }
  const std::string_view text = reply.text;
  const std::string_view first = text.substr(0, text.find(' '));
  const bool is_enhanced = first.size() >= 5 && (first[0] == '2' || first[0] == '4' || first[0] == '5') &&
                           first[1] == '.' && first.find_first_not_of("0123456789.") == std::string_view::npos;
  if (is_enhanced) reply.enhanced = first;
  return reply;
}

std::optional<std::string> smtp_offers(std::string_view bytes, std::string_view keyword) {
  for (bool is_first = true; !bytes.empty(); is_first = false) {
    const size_t length = line(bytes).length;
    if (length == 0) return {};
    std::string_view one = without_end(bytes.substr(0, length));
    bytes.remove_prefix(length);
    if (is_first || one.size() < 4) continue;
    one.remove_prefix(4);
    const std::string_view word = net::take_word(one);
    if (equals_ignoring_case(word, keyword)) return std::string(one);
  }
  return {};
}

ImapLine parse_imap(std::string_view bytes) {
  std::string_view rest = without_end(bytes);
  ImapLine out;
  out.tag = net::take_word(rest);
  for (const char c : net::take_word(rest)) out.word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  out.rest = rest;
  return out;
}

std::optional<PopLine> parse_pop(std::string_view bytes) {
  std::string_view rest = without_end(bytes);
  const std::string_view word = net::take_word(rest);
  if (word == "+OK") return PopLine{true, std::string(rest)};
  if (word == "-ERR") return PopLine{false, std::string(rest)};
  return {};
}

std::optional<std::string> imap_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0' || static_cast<unsigned char>(c) >= 0x80) return {};
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace vital::mail
