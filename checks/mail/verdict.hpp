// What the refusals of mail servers mean. Pure.
#pragma once

#include <string>
#include <vitald/check.hpp>

#include "codec.hpp"

namespace vital::mail {

// Where in an SMTP conversation a reply came.
enum class At { greeting, hello, login, sender, recipient, reset };
// What a reply that is not good proves; `doing` is the command ("RCPT TO:<a@b>").
check::Result smtp_refusal(const SmtpReply& reply, At at, const std::string& doing);
// NO, BAD or BYE of IMAP; -ERR of POP3, with its code in brackets if there is one.
check::Result imap_refusal(const ImapLine& line, const std::string& doing);
check::Result pop_refusal(const PopLine& line, const std::string& doing);

}  // namespace vital::mail
