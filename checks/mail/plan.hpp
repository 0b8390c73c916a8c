// What the checks of SMTP, IMAP and POP3 share: whom to talk with, over which TLS, as whom. Pure.
#pragma once

#include <string>
#include <vitald/check.hpp>

#include "../net/dialogue.hpp"

namespace vital::mail {

struct Plan {
  net::Peer peer;
  bool does_starttls = false;
  std::string user;
  std::string password;
};

// Throws check::Invalid: among others for a password that would travel in clear to another host.
Plan read_plan(const check::Options& options);

// A word that goes into a line as it is: without line ends and control characters. Throws check::Invalid.
std::string line_option(const check::Options& options, const char* name);

}  // namespace vital::mail
