// The operator's side of the admin socket: one request, one answer, with an end to every wait. Speaks just enough HTTP
// for our own server, so that vitalctl starts in a millisecond and every failure gets a line of its own. One thread.
//
//   Client agent(socket);
//   const Json status = agent.get("/api/v1/status");      // throws CtlError with a line for the operator
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "base/unique_fd.hpp"

namespace vital::ctl {

struct Reply {
  int status = 0;
  std::string body;
};

// One line that says what was tried, what happened and what to try.
class CtlError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Client {
 public:
  explicit Client(std::string socket) : socket_(std::move(socket)) {}

  // Throws CtlError if no agent answers; any status is an answer.
  Reply ask(std::string_view method, const std::string& target, const std::string& body = {},
            Duration patience = std::chrono::seconds(10)) const;

  // Reads a stream line by line until it ends, breaks, or says nothing for as long as no stream does. Throws CtlError
  // if no agent answers or the answer is no stream.
  void follow(const std::string& target, const std::function<void(std::string_view line)>& take) const;

  // The body of a 200; anything else is thrown as a CtlError with what the agent said.
  std::string get(const std::string& target) const;

 private:
  UniqueFd call(const std::string& request, Instant until) const;

  std::string socket_;
};

// The bytes of an answer as they came, up to the end of the connection. Empty `problem` if they make sense. Pure.
Reply parse_reply(std::string_view bytes, std::string* problem);
// "a b/c" as a piece of a path or query. Pure.
std::string encode(std::string_view piece);
// The text of {"error": ...}, or the start of whatever else it is. Pure.
std::string error_of(const Reply& reply);

}  // namespace vital::ctl
