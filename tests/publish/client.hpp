// A client that says exactly the bytes it is given and sees exactly how the connection ends: by a FIN, by a reset, or
// not at all in time. No library would send or notice half of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "base/unique_fd.hpp"

namespace vital::test {

enum class End { fin, reset, still_open };

struct Received {
  std::string bytes;
  End end = End::still_open;
  int code() const;  // of the first answer, 0 if there is none
  std::string body() const;
  bool has(std::string_view text) const { return bytes.find(text) != std::string::npos; }
};

class Client {
 public:
  // "127.0.0.1:80", "[::1]:80", or the path of a unix socket.
  explicit Client(const std::string& address);

  void send(std::string_view bytes);
  void end_sending();
  void reset();  // RST
  // Until the other end closes, or `enough` bytes are there, or the time is up.
  Received receive(Duration limit = std::chrono::seconds(5), std::size_t enough = static_cast<std::size_t>(-1));
  // Until the answer is whole by its Content-Length.
  Received receive_answer(Duration limit = std::chrono::seconds(5));

 private:
  UniqueFd fd_;
  std::string rest_;  // bytes of a next answer
};

// Sends all, receives until the end.
Received ask(const std::string& address, std::string_view bytes);

}  // namespace vital::test
