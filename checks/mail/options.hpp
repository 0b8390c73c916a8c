// The option rows that smtp, imap and pop3 have in common, before those of every connection.
#pragma once

#include "../net/options.hpp"

namespace vital::mail {

constexpr check::OptionRow starttls_row{
    "starttls", check::Type::boolean, "false",
    "Ask for TLS on the connection in clear; the certificate is verified then unless "
    "tls.mode says require."};
constexpr check::OptionRow host_row{"host", check::Type::string, "127.0.0.1", "Name or address of the server."};
constexpr check::OptionRow user_row{"user", check::Type::string, nullptr, "Who logs in.", "monitor"};
constexpr check::OptionRow password_row{
    "password", check::Type::string, nullptr, "The user's password; it goes out in clear only to this host itself.",
    nullptr,    VITAL_OPTION_SECRET};

}  // namespace vital::mail
