// Reading Accept; see negotiation.hpp. A client that accepts nothing we have gets JSON: a health answer in the wrong
// form is better than none.
#include "publish/negotiation.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.hpp"

namespace vital {
namespace {

constexpr std::string_view health_json = "application/health+json";
constexpr std::string_view plain_json = "application/json";
constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::size_t most_ranges = 32;

struct MediaRange {
  std::string type;
  double quality = 1;
};

MediaRange read_range(std::string_view text) {
  MediaRange out;
  const std::vector<std::string_view> parts = split(text, ';');
  out.type = trim(parts.front());
  std::transform(out.type.begin(), out.type.end(), out.type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view parameter = trim(parts[i]);
    if (!parameter.starts_with("q=")) continue;
    const std::string_view q = parameter.substr(2);
    if (std::from_chars(q.data(), q.data() + q.size(), out.quality).ec != std::errc{}) out.quality = 0;
  }
  return out;
}

std::vector<MediaRange> read_accept(std::string_view accept) {
  std::vector<MediaRange> out;
  for (const std::string_view range : split(accept, ',')) {
    if (out.size() == most_ranges) break;
    out.push_back(read_range(range));
  }
  return out;
}

std::optional<Negotiated> offer_for(std::string_view type) {
  if (type == health_json || type == "*/*" || type == "application/*") return Negotiated{Format::json, health_json};
  if (type == plain_json) return Negotiated{Format::json, plain_json};
  if (type == "text/plain" || type == "text/*") return Negotiated{Format::text, plain_text};
  return {};
}

}  // namespace

bool wants_html(std::string_view accept) {
  if (accept.find("html") == std::string_view::npos) return false;
  const std::vector<MediaRange> ranges = read_accept(accept);
  return std::any_of(ranges.begin(), ranges.end(),
                     [](const MediaRange& r) { return r.type == "text/html" && r.quality > 0; });
}

std::optional<Negotiated> negotiate(const std::string* format_parameter, std::string_view accept) {
  if (format_parameter != nullptr) {
    if (*format_parameter == "json") return Negotiated{Format::json, health_json};
    if (*format_parameter == "text") return Negotiated{Format::text, plain_text};
    if (*format_parameter == "prometheus") return Negotiated{Format::prometheus, prometheus_text};
    if (*format_parameter == "nagios") return Negotiated{Format::nagios, plain_text};
    return {};
  }
  if (accept.empty() || accept == "*/*") return Negotiated{Format::json, health_json};
  std::optional<Negotiated> best;
  double best_quality = 0;
  for (const MediaRange& range : read_accept(accept)) {
    const auto offer = offer_for(range.type);
    if (!offer || range.quality <= best_quality) continue;
    best = offer;
    best_quality = range.quality;
  }
  if (!best) best = Negotiated{Format::json, health_json};
  // A browser shows application/json and saves application/health+json to a file.
  if (best->content_type == health_json && wants_html(accept)) best->content_type = plain_json;
  return best;
}

}  // namespace vital
