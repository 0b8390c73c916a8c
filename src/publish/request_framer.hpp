// RequestFramer: where one HTTP request ends in the bytes a connection has sent, and what decides how the connection
// goes on. Everything that could make two readers disagree about the end (two lengths, length and chunks) is refused.
// What the request asks for is read by request_parser. Pure, one for each connection.
//
//   RequestFramer framer(limits);
//   Frame frame = framer.read(buffer);             // again with more bytes while it needs more
//   if (frame.status == Frame::Status::complete) { ...; buffer.erase(0, frame.length); framer.reset(); }
#pragma once

#include <cstddef>
#include <string_view>

namespace vital {

struct Frame {
  enum class Status : unsigned char {
    need_header,
    need_body,
    complete,
    bad,  // answer `code` and end the connection
  };
  Status status = Status::need_header;
  int code = 0;
  std::string_view problem;  // of a bad one, static text

  std::size_t length = 0;  // bytes of the whole request, empty lines before it included
  // The rest points into the buffer given to read().
  std::string_view method;
  std::string_view target;
  std::string_view body;
  std::string_view accept;
  std::string_view authorization;
  std::string_view last_event_id;  // of who comes back to a stream
  std::string_view user_agent;
  std::string_view server_state;  // x-haproxy-server-state
  std::string_view host;
  std::string_view origin;      // of the page that sent it
  std::string_view fetch_site;  // Sec-Fetch-Site
  std::string_view node;        // X-Vitald-Node
  unsigned headers = 0;         // how many lines
  bool is_bare = false;         // HTTP/0.9: "GET /" and nothing else
  bool is_1_0 = false;          // HTTP/1.0
  bool keeps_alive = false;     // the client wants the connection afterwards
  bool wants_continue = false;  // Expect: 100-continue
};

struct FrameLimits {
  std::size_t header_bytes = 8 * 1024;
  std::size_t body_bytes = 64 * 1024;
};

class RequestFramer {
 public:
  explicit RequestFramer(FrameLimits limits) : limits_(limits) {}

  Frame read(std::string_view buffer);
  void reset();

 private:
  FrameLimits limits_;
  std::size_t start_ = 0;     // empty lines before the request line
  std::size_t scanned_ = 0;   // no header end and no forbidden byte before here
  std::size_t head_end_ = 0;  // past the empty line, 0 = not seen yet
  bool is_line_good_ = false;
};

}  // namespace vital
