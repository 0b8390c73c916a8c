// Exchange: connect, say something, read until the other side hangs up. Non-blocking; destroying it ends it. [loop]
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "loop/loop.hpp"

namespace vital {

class Exchange {
 public:
  // `address` is the path of a Unix socket, or a numeric "ADDRESS:PORT". `ended` comes once, later: the whole answer,
  // or in one line why there is none. It may destroy the exchange.
  using Ended = std::function<void(std::string answer, std::string trouble)>;
  Exchange(Loop& loop, std::string address, std::string request, std::size_t most_answer, Ended ended);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

 private:
  void connect_to();
  void writable();
  void readable();
  void end(std::string trouble);

  Loop& loop_;
  std::string address_;
  std::string request_;
  std::size_t most_answer_;
  Ended ended_;
  std::string answer_;
  std::size_t sent_ = 0;
  UniqueFd socket_;
  std::optional<FdWatch> watch_;  // before the socket goes
  Timer failed_at_once_;
};

}  // namespace vital
