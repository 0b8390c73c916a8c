// What a first configuration of this host could look like, judged by what listens on it. Pure.
#pragma once

#include <string>
#include <vector>

#include "cmd/sockets.hpp"

namespace vital::init {

struct ProposedCheck {
  std::string name;                // "postgres", "nginx-8080"
  std::string type;                // "postgres"
  std::string because;             // "postgres (pid 77) listens on 127.0.0.1:5432"
  std::vector<std::string> lines;  // its options in YAML, one a line; a line that begins with # is one to complete
};

struct Proposal {
  std::vector<ProposedCheck> checks;
  std::vector<std::string> others;  // what listens and is not known to us
};

// The agent's own sockets and those that only the host's own programs use are left out.
Proposal propose(std::vector<cmd::ListeningSocket> sockets);

// As a commented configuration.
std::string to_yaml(const Proposal& proposal, const std::string& file);

}  // namespace vital::init
