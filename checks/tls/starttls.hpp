// How a connection in clear is asked for TLS: the beginning and the end of a conversation in SMTP, IMAP, POP3, LDAP and
// PostgreSQL. Pure: what to say, where the answer ends, and whether it is a yes. MySQL is not among them: its servers
// count a visitor who leaves after the handshake as an error, and block the host that does so too often.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../net/framing.hpp"

namespace vital::tls {

enum class StartTls { none, smtp, imap, pop3, ldap, postgres };

// One exchange: what is sent (nothing = the server speaks first), and how its answer is read.
struct Turn {
  std::string say;
  std::string of;  // as in "answer to STARTTLS"
  net::Framer framer;
  // Whether the answer means: go on. The text says what it means otherwise.
  bool (*is_yes)(std::string_view answer);
  const char* no;
};

// The exchanges before the handshake.
std::vector<Turn> turns_before(StartTls protocol);
// What to say before leaving, and whether an answer comes.
struct Farewell {
  std::string say;
  net::Framer framer = nullptr;
};
Farewell farewell(StartTls protocol);

// Framers of the two that do not speak in lines.
net::Framing ldap_message(std::string_view bytes);
net::Framing one_byte(std::string_view bytes);

}  // namespace vital::tls
