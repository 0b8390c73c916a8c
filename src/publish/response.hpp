// Response: one answer on its way to a connection, and the bytes it becomes. The header lines and bodies of finished
// answers are borrowed from the view, which is kept alive; others are owned. Front thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace vital {

struct Response {
  int code = 200;
  std::string_view content_type = "text/plain; charset=utf-8";  // of static storage; empty = stands in `headers`
  std::string headers;                                          // further lines, each with its CRLF
  std::string body;
  std::optional<Instant> age_from;  // becomes Age

  // Borrowed parts, written before the owned ones, and what they live in.
  std::string_view shared_headers;
  std::string_view shared_body;
  std::shared_ptr<const void> keep;
  std::shared_ptr<const void> keep_body;
};

// What the request and its connection decide about the form.
struct ResponseForm {
  bool is_head = false;  // the body is counted, not sent
  bool closes = true;
  bool is_1_0 = false;   // HTTP/1.0 wants to be told that the connection stays
  bool is_bare = false;  // HTTP/0.9 gets a whole HTTP/1.0 answer
};

// Appends the whole answer to `out`. `date` is "Sun, 06 Nov 1994 08:49:37 GMT".
void compose(const Response& response, const ResponseForm& form, Instant now, std::string_view date, std::string& out);

// A short JSON answer {"error": what}, for what is not a health question.
Response error_response(int code, std::string_view what);

std::string_view reason_phrase(int code);

}  // namespace vital
