// A request over a Unix socket; see client.hpp.
#include "ctl/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "loop/loop.hpp"

namespace vital::ctl {
namespace {

constexpr std::size_t largest_reply = 64 * 1024 * 1024;

std::string trouble(int error) { return std::generic_category().message(error); }

[[noreturn]] void nobody(const std::string& socket, int error) {
  if (error == EACCES || error == EPERM) {
    throw CtlError("you may not use " + socket + ": " + trouble(error) + "; be in its group, or try sudo");
  }
  if (error == EAGAIN) throw CtlError("the agent on " + socket + " is too busy to answer");
  std::string line = "no agent answers on " + socket + ": is vitald running? try systemctl status vitald";
  if (error != ENOENT && error != ECONNREFUSED) line += " (" + trouble(error) + ")";
  throw CtlError(line);
}

void wait(int fd, short what, Instant until, const std::string& socket) {
  while (true) {
    const auto left = milliseconds(until - Loop::now());
    if (left <= 0) throw CtlError("the agent on " + socket + " did not answer in time");
    pollfd p{fd, what, 0};
    const int n = poll(&p, 1, static_cast<int>(std::min<long long>(left + 1, 60000)));
    if (n > 0) return;
    if (n < 0 && errno != EINTR) throw CtlError("waiting for " + socket + ": " + trouble(errno));
  }
}

}  // namespace

// Connects and says all of the request.
UniqueFd Client::call(const std::string& request, Instant until) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) {
    throw CtlError("the path of a socket has 1 to 107 bytes: " + one_line(socket_, 200));
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw CtlError("cannot make a socket: " + trouble(errno));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) nobody(socket_, errno);

  std::string_view rest = request;
  while (!rest.empty()) {
    wait(fd.get(), POLLOUT, until, socket_);
    const ssize_t n = send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) nobody(socket_, errno);
    if (n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return fd;
}

Reply Client::ask(std::string_view method, const std::string& target, const std::string& body,
                  Duration patience) const {
  const Instant until = Loop::now() + patience;
  std::string request = std::string(method) + " " + target + " HTTP/1.1\r\nHost: vitald\r\nConnection: close\r\n";
  if (!body.empty()) request += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  request += "\r\n" + body;
  const UniqueFd fd = call(request, until);
  std::string bytes;
  char part[65536];
  while (true) {
    wait(fd.get(), POLLIN, until, socket_);
    const ssize_t n = recv(fd.get(), part, sizeof part, 0);
    if (n == 0) break;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) nobody(socket_, errno);
    bytes.append(part, static_cast<std::size_t>(n));
    if (bytes.size() > largest_reply) throw CtlError("the answer from " + socket_ + " has no end");
  }
  std::string problem;
  Reply reply = parse_reply(bytes, &problem);
  if (!problem.empty()) throw CtlError("what answers on " + socket_ + " is not vitald: " + problem);
  return reply;
}

void Client::follow(const std::string& target, const std::function<void(std::string_view line)>& take) const {
  constexpr Duration patience = std::chrono::seconds(10), longest_silence = std::chrono::seconds(45);
  constexpr std::size_t longest_line = 1U << 20U;
  const UniqueFd fd = call("GET " + target + " HTTP/1.1\r\nHost: vitald\r\n\r\n", Loop::now() + patience);
  std::string bytes;
  bool is_stream = false;
  char part[65536];
  while (true) {
    wait(fd.get(), POLLIN, Loop::now() + (is_stream ? longest_silence : patience), socket_);
    const ssize_t n = recv(fd.get(), part, sizeof part, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) break;
    bytes.append(part, static_cast<std::size_t>(n));
    if (!is_stream) {
      const auto end = bytes.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      is_stream = bytes.starts_with("HTTP/1.1 200 ");
      if (!is_stream) continue;  // what it says instead follows
      bytes.erase(0, end + 4);
    }
    std::size_t from = 0;
    for (auto end = bytes.find('\n'); end != std::string::npos; end = bytes.find('\n', from)) {
      take(std::string_view(bytes).substr(from, end - from));
      from = end + 1;
    }
    bytes.erase(0, from);
    if (bytes.size() > longest_line) throw CtlError("the stream from " + socket_ + " makes no sense");
  }
  if (is_stream) return;
  std::string problem;
  const Reply reply = parse_reply(bytes, &problem);
  throw CtlError(problem.empty() ? error_of(reply) : "what answers on " + socket_ + " is not vitald: " + problem);
}

std::string Client::get(const std::string& target) const {
  Reply reply = ask("GET", target);
  if (reply.status != 200) throw CtlError(error_of(reply));
  return std::move(reply.body);
}

Reply parse_reply(std::string_view bytes, std::string* problem) {
  problem->clear();
  Reply reply;
  const auto end = bytes.find("\r\n\r\n");
  const std::string_view start = bytes.substr(0, bytes.find("\r\n"));
  if (end == std::string_view::npos || !start.starts_with("HTTP/1.") || start.size() < 12) {
    *problem = bytes.empty() ? "it closed the connection" : "it does not speak HTTP";
    return reply;
  }
  const auto code = start.substr(9, 3);
  if (std::from_chars(code.data(), code.data() + code.size(), reply.status).ec != std::errc{}) {
    *problem = "its status makes no sense";
    return reply;
  }
  reply.body = bytes.substr(end + 4);
  for (std::string_view line : split(bytes.substr(0, end), '\n')) {
    line = trim(line);
    constexpr std::string_view wanted = "content-length:";
    if (line.size() <= wanted.size() || !std::equal(wanted.begin(), wanted.end(), line.begin(), [](char a, char b) {
          return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
        })) {
      continue;
    }
    const std::string_view value = trim(line.substr(wanted.size()));
    std::size_t length = 0;
    std::from_chars(value.data(), value.data() + value.size(), length);
    if (reply.body.size() < length) *problem = "its answer was cut short";
    reply.body.resize(std::min(reply.body.size(), length));
  }
  return reply;
}

std::string encode(std::string_view piece) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : piece) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '_' || c == '.' || c == '~';
    if (is_plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string error_of(const Reply& reply) {
  const auto json = nlohmann::json::parse(reply.body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_string()) {
    return one_line(json["error"].get<std::string>());
  }
  return "the agent answered " + std::to_string(reply.status) + ": " + one_line(reply.body, 200);
}

}  // namespace vital::ctl
