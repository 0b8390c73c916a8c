// Judging reports; see reporters.hpp.
#include "publish/reporters.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>

namespace vital {
namespace {

constexpr std::string_view before = "/api/v1/checks/";
constexpr std::string_view behind = "/result";
constexpr std::string_view challenge = "WWW-Authenticate: Bearer\r\n";
constexpr std::string_view a_moment = "Retry-After: 1\r\n";
constexpr double reports_at_once = 10;
constexpr double reports_a_second = 2;

// The name in the path of a report; empty if it is none.
std::string_view check_in(std::string_view path) {
  if (path.size() <= before.size() + behind.size() || !path.starts_with(before) || !path.ends_with(behind)) return {};
  const std::string_view name = path.substr(before.size(), path.size() - before.size() - behind.size());
  return name.find('/') == std::string_view::npos ? name : std::string_view();
}

// What stands behind "Bearer"; empty if it is another scheme.
std::string_view token_in(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size()) return {};
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(authorization[i])) != scheme[i]) return {};
  }
  authorization.remove_prefix(scheme.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return authorization;
}

// Takes the same time whatever differs, and wherever.
bool is_same(std::string_view shown, std::string_view known) {
  volatile unsigned difference = shown.size() == known.size() ? 0 : 1;
  for (std::size_t i = 0; i < Reporters::most_token_bytes; ++i) {
    const unsigned a = i < shown.size() ? static_cast<unsigned char>(shown[i]) : 0;
    const unsigned b = i < known.size() ? static_cast<unsigned char>(known[i]) : 0;
    difference = difference | (a ^ b);
  }
  return difference == 0;
}

Reporters::Judgement refuse(Reporters::Outcome outcome, int code, std::string_view why, std::string_view header = {}) {
  return {outcome, code, why, header};
}

}  // namespace

bool brings_token(std::string_view authorization, std::string_view token) {
  const std::string_view shown = token_in(authorization);
  return !token.empty() && !shown.empty() && is_same(shown, token);
}

bool Allowance::take(Instant now) {
  if (seen_ != Instant{} && now > seen_) {
    left_ = std::min(at_once_, left_ + std::chrono::duration<double>(now - seen_).count() * a_second_);
  }
  seen_ = now;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

void Reporters::set(const std::vector<std::pair<std::string, std::string>>& tokens) {
  std::vector<Reporter> next;
  for (const auto& [check, token] : tokens) {
    const auto old = std::ranges::find(reporters_, check, &Reporter::check);
    const Allowance allowance = old != reporters_.end() ? old->allowance : Allowance(reports_at_once, reports_a_second);
    next.push_back({check, token, allowance});
  }
  reporters_ = std::move(next);
}

bool Reporters::is_asked(std::string_view path) const { return !reporters_.empty() && !check_in(path).empty(); }

Reporters::Judgement Reporters::judge(std::string_view path, std::string_view method, std::string_view authorization,
                                      std::size_t body_bytes, Instant now) {
  if (method != "POST") return refuse(Outcome::refused, 405, "a report is a POST", "Allow: POST\r\n");
  const auto turn_away = [&](int code, std::string_view why, std::string_view header = {}) {
    if (!strangers_.take(now)) return refuse(Outcome::limited, 429, "too many attempts without a good token", a_moment);
    return refuse(Outcome::unauthorized, code, why, header);
  };
  const std::string_view shown = token_in(authorization);
  if (shown.empty()) return turn_away(401, "a report needs Authorization: Bearer TOKEN", challenge);
  const auto reporter = std::ranges::find(reporters_, check_in(path), &Reporter::check);
  if (reporter == reporters_.end()) return turn_away(404, "no check of that name takes reports here");
  if (!is_same(shown, reporter->token)) return turn_away(403, "this is not the token of that check");
  if (body_bytes > most_body_bytes) return refuse(Outcome::refused, 413, "a report has at most 8 KiB");
  if (!reporter->allowance.take(now)) return refuse(Outcome::limited, 429, "too many reports", a_moment);
  return {};
}

}  // namespace vital
