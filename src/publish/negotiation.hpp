// Which form a health answer takes: ?format= first, then Accept, else application/health+json. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vital {

enum class Format : unsigned char { json, text, prometheus, nagios };

struct Negotiated {
  Format format = Format::json;
  std::string_view content_type;  // of static storage
};

// Empty for a ?format= nobody knows.
std::optional<Negotiated> negotiate(const std::string* format_parameter, std::string_view accept);

// A browser: Accept names text/html.
bool wants_html(std::string_view accept);

}  // namespace vital
