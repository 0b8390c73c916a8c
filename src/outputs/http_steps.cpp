// See http_steps.hpp.
#include "outputs/http_steps.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"
#include "outputs/environment.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;

// A body may echo what we sent; only its beginning is shown, and only of a refusal.
std::string refusal(const HttpReply& reply) {
  const std::string said = one_line(trim(std::string_view(reply.body).substr(0, 200)), 160);
  return fmt::format("was answered {}{}{}", reply.status, said.empty() ? "" : ": ", said);
}

}  // namespace

std::string delivery_text(const HttpTarget& to, Duration timeout, const std::vector<HttpRequest>& requests) {
  Json out = {{"bases", to.bases}, {"timeout_ms", milliseconds(timeout)},
              {"ca", to.ca},       {"certificate", to.certificate},
              {"key", to.key},     {"requests", Json::array()}};
  for (const HttpRequest& r : requests) {
    out["requests"].push_back({{"method", r.method}, {"path", r.path}, {"headers", r.headers}, {"body", r.body}});
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<HttpReply> parse_replies(std::string_view text, std::size_t expected, std::string* trouble) {
  std::vector<HttpReply> out;
  trouble->clear();
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("replies") || !json["replies"].is_array()) {
    *trouble = "vitald-deliver said nothing that makes sense";
    return out;
  }
  for (const Json& reply : json["replies"]) {
    if (!reply.is_object()) continue;
    out.push_back({reply.value("status", 0), reply.value("body", std::string())});
  }
  const std::string error = json.value("error", std::string());
  if (!error.empty()) {
    *trouble = one_line(error, 300);
  } else if (!out.empty() && (out.back().status < 200 || out.back().status >= 300)) {
    *trouble = refusal(out.back());
  } else if (out.size() < expected) {
    *trouble = "nobody answered";
  }
  return out;
}

std::string origin_of(std::string_view url) {
  const std::size_t authority = url.find("://");
  return std::string(url.substr(0, authority == std::string_view::npos ? 0 : url.find('/', authority + 3)));
}

std::string without(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;)
      text.replace(at, secret.size(), "(secret)");
  }
  return text;
}

std::string url_piece(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '_' || c == '.' || c == '~' || c == ':';
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

void HttpSteps::call(const std::vector<HttpRequest>& requests, Next next) {
  Program program{{helper_}, plain_environment(), delivery_text(to_, timeout_, requests)};
  run(std::move(program), [this, expected = requests.size(), next = std::move(next)](const Ran& ran) {
    if (!ran.is_good) return fail(ran.trouble);
    std::string trouble;
    const auto replies = parse_replies(ran.output, expected, &trouble);
    if (!trouble.empty() && to_.bases.size() == 1) trouble = origin_of(to_.bases.front()) + " " + trouble;
    next(replies, without(std::move(trouble), secrets_));
  });
}

}  // namespace vital
