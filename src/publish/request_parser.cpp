// cpp-httplib behind a memory stream; see request_parser.hpp. The only file of the daemon that includes it:
// Server::process_request is protected and later versions change its parameters.
//
// The library gets the request line and Accept. What decides framing (Content-Length, Connection, Expect) has been read
// by the framer, and Range or Accept-Encoding must not make it cut or compress a health answer. Its pre-routing
// handler is where the request leaves again: no regular expressions are tried, and the answer it would write is
// dropped, since ours must leave in one write together with what the library does not know (Age, PROXY, HTTP/0.9).
#include "publish/request_parser.hpp"

#include <httplib.h>

#include <algorithm>
#include <cstring>

namespace vital {
namespace {

// Reads from a string, drops what is written.
class MemoryStream : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view bytes) : rest_(bytes) {}
  bool is_readable() const override { return !rest_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t n = std::min(size, rest_.size());
    std::memcpy(to, rest_.data(), n);
    rest_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* /*from*/, std::size_t size) override { return static_cast<ssize_t>(size); }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return -1; }

 private:
  std::string_view rest_;
};

// "http://host:port/path" is "/path": a proxy's form of the target that every server must take.
std::string_view without_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const std::size_t slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target;
}

}  // namespace

const std::string* Request::parameter(std::string_view name) const {
  const auto found = std::find_if(query.begin(), query.end(), [&](const auto& entry) { return entry.first == name; });
  return found == query.end() ? nullptr : &found->second;
}

struct RequestParser::Server : httplib::Server {
  Server() {
    set_pre_routing_handler([this](const httplib::Request& from, httplib::Response& to) {
      Request request;
      request.method = method;
      request.path = from.path;
      request.query.assign(from.params.begin(), from.params.end());
      request.accept = from.get_header_value("Accept");
      is_routed = true;
      (*handle)(request);
      to.status = 200;
      return HandlerResponse::Handled;
    });
  }
  void process(std::string_view bytes) {
    MemoryStream stream(bytes);
    bool is_closed = false;
    process_request(stream, true, is_closed, {});
  }
  std::string method;
  const std::function<void(Request&)>* handle = nullptr;
  bool is_routed = false;
};

RequestParser::RequestParser() : server_(std::make_unique<Server>()) {}
RequestParser::~RequestParser() = default;

bool RequestParser::route(const Frame& frame, const std::function<void(Request&)>& handle) {
  // The library knows ten methods and answers 400 to others; which are allowed is for the pages to say.
  std::string bytes = "GET ";
  bytes += without_authority(frame.target);
  bytes += " HTTP/1.1\r\n";
  if (!frame.accept.empty()) {
    bytes += "Accept: ";
    bytes += frame.accept;
    bytes += "\r\n";
  }
  bytes += "\r\n";
  server_->method = frame.method;
  server_->handle = &handle;
  server_->is_routed = false;
  server_->process(bytes);
  server_->handle = nullptr;
  return server_->is_routed;
}

}  // namespace vital
