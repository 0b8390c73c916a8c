// The lines of SMTP, IMAP and POP3: where a reply ends, and what is in it. Pure; every length bounded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "../net/framing.hpp"
#include "../net/line.hpp"

namespace vital::mail {

// One line, for IMAP and POP3.
using net::line;
using net::without_end;

// A whole SMTP reply: lines of one code, "250-" until "250 ".
net::Framing smtp_reply(std::string_view bytes);

struct SmtpReply {
  int code = 0;
  std::string text;      // of the lines, joined by spaces
  std::string enhanced;  // "5.7.1", if it has one
  bool is_good() const { return code >= 200 && code < 400; }
  bool is_transient() const { return code >= 400 && code < 500; }
};
// One that smtp_reply() measured; empty for anything else.
std::optional<SmtpReply> parse_smtp(std::string_view bytes);
// Whether a reply to EHLO offers this ("STARTTLS", "AUTH"): the words behind it, or nothing.
std::optional<std::string> smtp_offers(std::string_view bytes, std::string_view keyword);

// One line of IMAP: "* OK ...", "a1 NO ...", "+ ...".
struct ImapLine {
  std::string tag;   // "*", "+" or ours
  std::string word;  // "OK", "NO", "BAD", "BYE", "PREAUTH", "CAPABILITY", or a number as in "* 23 EXISTS"
  std::string rest;
};
ImapLine parse_imap(std::string_view line);

// One line of POP3: +OK or -ERR, or empty.
struct PopLine {
  bool is_ok = false;
  std::string text;
};
std::optional<PopLine> parse_pop(std::string_view line);

// A word as IMAP takes it between quotes; nothing if it cannot be said so.
std::optional<std::string> imap_quoted(std::string_view text);

}  // namespace vital::mail
