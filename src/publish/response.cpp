// The bytes of an answer; see response.hpp. Everything stands in one string, since it leaves in one write.
#include "publish/response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace vital {

std::string_view reason_phrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

void compose(const Response& r, const ResponseForm& form, Instant now, std::string_view date, std::string& out) {
  const std::size_t length = r.shared_body.size() + r.body.size();
  out.reserve(out.size() + 384 + r.shared_headers.size() + r.headers.size() + (form.is_head ? 0 : length));
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "HTTP/1.{} {} {}\r\nDate: {}\r\n", form.is_bare ? 0 : 1, r.code, reason_phrase(r.code), date);
  if (length > 0 && !r.content_type.empty()) fmt::format_to(to, "Content-Type: {}\r\n", r.content_type);
  fmt::format_to(to, "Content-Length: {}\r\n", length);
  out += r.shared_headers;
  out += r.headers;
  if (r.age_from) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *r.age_from).count();
    fmt::format_to(to, "Age: {}\r\n", std::max<long long>(0, age));
  }
  if (form.closes) {
    out += "Connection: close\r\n";
  } else if (form.is_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (form.is_head) return;
  out += r.shared_body;
  out += r.body;
}

Response error_response(int code, std::string_view what) {
  Response out;
  out.code = code;
  out.content_type = "application/json";
  out.headers = "Cache-Control: no-store\r\n";
  out.body = nlohmann::json{{"error", what}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return out;
}

}  // namespace vital
