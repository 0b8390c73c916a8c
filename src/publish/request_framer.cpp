// Finding the end of a request; see request_framer.hpp. Line ends may be CRLF or LF: people type requests into nc.
#include "publish/request_framer.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::size_t most_empty_lines = 8;  // bytes: some clients send a stray CRLF after a body

Frame bad(int code, std::string_view problem) {
  Frame out;
  out.status = Frame::Status::bad;
  out.code = code;
  out.problem = problem;
  return out;
}

bool is_token_char(char c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || marks.find(c) != std::string_view::npos;
}
bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

bool is_forbidden(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && c != '\t' && c != '\r' && c != '\n') || u == 0x7F;
}

// The line at the front of `rest`, without its end; advances `rest` past it. Empty optional if it has no end yet.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return {};
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Sets method, target and version; status bad if it is no request line.
Frame read_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos || !is_token(line.substr(0, first))) return bad(400, "not an HTTP request line");
  Frame out;
  out.method = line.substr(0, first);
  line.remove_prefix(first + 1);
  const std::size_t second = line.find(' ');
  out.target = line.substr(0, second);
  if (out.target.empty()) return bad(400, "the request line names no path");
  const bool is_plain =
      std::none_of(out.target.begin(), out.target.end(), [](char c) { return c == '\t' || c == '\r'; });
  if (!is_plain) return bad(400, "the path has control characters");
  if (second == std::string_view::npos) {
    if (out.method != "GET") return bad(400, "the request line has no HTTP version");
    out.is_bare = true;
    return out;
  }
  const std::string_view version = line.substr(second + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.') {
    return bad(400, "the request line has no valid HTTP version");
  }
  if (version[5] != '1' || std::isdigit(static_cast<unsigned char>(version[7])) == 0) {
    return bad(505, "only HTTP/1.0 and 1.1 are spoken here");
  }
  out.is_1_0 = version[7] == '0';
  return out;
}

struct HeaderFacts {
  std::optional<std::uint64_t> length;
  bool has_transfer_encoding = false;
  bool is_chunked = false;
  bool says_close = false;
  bool says_keep_alive = false;
};

// Takes in one header line; a problem's text if it cannot be accepted.
std::optional<std::string_view> read_header_line(std::string_view line, Frame& frame, HeaderFacts& facts) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return "a header line has no valid name";
  if (line.find('\r') != std::string_view::npos) return "a header line has a stray carriage return";
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  if (equals_ignoring_case(name, "content-length")) {
    if (facts.length) return "two Content-Length headers";
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (value.empty() || error != std::errc{} || end != value.data() + value.size()) {
      return "Content-Length is not a number";
    }
    facts.length = length;
  } else if (equals_ignoring_case(name, "transfer-encoding")) {
    if (facts.has_transfer_encoding) return "two Transfer-Encoding headers";
    facts.has_transfer_encoding = true;
    facts.is_chunked = equals_ignoring_case(value, "chunked");
  } else if (equals_ignoring_case(name, "connection")) {
    for (const std::string_view word : split(value, ',')) {
      if (equals_ignoring_case(trim(word), "close")) facts.says_close = true;
      if (equals_ignoring_case(trim(word), "keep-alive")) facts.says_keep_alive = true;
    }
  } else if (equals_ignoring_case(name, "expect")) {
    frame.wants_continue = equals_ignoring_case(value, "100-continue");
  } else if (equals_ignoring_case(name, "accept")) {
    if (frame.accept.empty()) frame.accept = value;
  } else if (equals_ignoring_case(name, "last-event-id")) {
    frame.last_event_id = value;
  } else if (equals_ignoring_case(name, "user-agent")) {
    frame.user_agent = value;
  } else if (equals_ignoring_case(name, "x-haproxy-server-state")) {
    frame.server_state = value;
  } else if (equals_ignoring_case(name, "host")) {
    frame.host = value;
  } else if (equals_ignoring_case(name, "origin")) {
    frame.origin = value;
  } else if (equals_ignoring_case(name, "sec-fetch-site")) {
    frame.fetch_site = value;
  } else if (equals_ignoring_case(name, "x-vitald-node")) {
    frame.node = value;
  } else if (equals_ignoring_case(name, "authorization")) {
    if (!frame.authorization.empty()) return "two Authorization headers";
    frame.authorization = value;
  }
  return {};
}

}  // namespace

void RequestFramer::reset() {
  start_ = scanned_ = head_end_ = 0;
  is_line_good_ = false;
}

Frame RequestFramer::read(std::string_view buffer) {
  if (scanned_ == start_) {
    while (start_ < buffer.size() && start_ < most_empty_lines && (buffer[start_] == '\r' || buffer[start_] == '\n')) {
      ++start_;
    }
    scanned_ = start_;
  }

  // Find the end of the header in what is new, and refuse at once what can never become a request.
  while (head_end_ == 0 && scanned_ < buffer.size()) {
    const char c = buffer[scanned_];
    if (is_forbidden(c)) return bad(400, "the request has control characters");
    if (c == '\n') {
      if (!is_line_good_) {
        std::string_view rest = buffer.substr(start_, scanned_ + 1 - start_);
        const Frame line = read_request_line(*take_line(rest));
        if (line.status == Frame::Status::bad) return line;
        is_line_good_ = true;
        if (line.is_bare) {
          Frame out = line;
          out.status = Frame::Status::complete;
          out.length = scanned_ + 1;
          return out;
        }
      } else {
        std::size_t before = scanned_ - 1;  // a request line stands before: never below start_
        if (buffer[before] == '\r') --before;
        if (buffer[before] == '\n') head_end_ = scanned_ + 1;
      }
    }
    ++scanned_;
    if (scanned_ - start_ > limits_.header_bytes) return bad(431, "the request header is longer than the limit");
  }
  if (head_end_ == 0) return {};

  std::string_view head = buffer.substr(start_, head_end_ - start_);
  Frame out = read_request_line(*take_line(head));
  HeaderFacts facts;
  while (const auto line = take_line(head)) {
    if (line->empty()) break;
    ++out.headers;
    if (line->front() == ' ' || line->front() == '\t') return bad(400, "a header line is folded");
    if (const auto problem = read_header_line(*line, out, facts)) return bad(400, *problem);
  }
  if (facts.has_transfer_encoding) {
    if (facts.length) return bad(400, "both Content-Length and Transfer-Encoding");
    if (out.is_1_0) return bad(400, "Transfer-Encoding in HTTP/1.0");
    if (facts.is_chunked) return bad(411, "a body needs a Content-Length here");
    return bad(501, "this Transfer-Encoding is not known");
  }
  if (facts.length.value_or(0) > limits_.body_bytes) return bad(413, "the request body is longer than the limit");
  const auto body_length = static_cast<std::size_t>(facts.length.value_or(0));
  out.keeps_alive = !facts.says_close && (!out.is_1_0 || facts.says_keep_alive);
  out.length = head_end_ + body_length;
  if (buffer.size() < out.length) {
    out.status = Frame::Status::need_body;
    return out;
  }
  out.body = buffer.substr(head_end_, body_length);
  out.status = Frame::Status::complete;
  return out;
}

}  // namespace vital
