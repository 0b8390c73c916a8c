// Judging answers; see expect.hpp.
#include "expect.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "../net/text.hpp"

namespace vital::http {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

std::optional<int> status_code(std::string_view text) {
  if (text.size() != 3) return {};
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + (c - '0');
  }
  if (value < 100 || value > 599) return {};
  return value;
}

}  // namespace

bool StatusSet::add(std::string_view text) {
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view item = trimmed(text.substr(at, comma - at));
    at = comma + 1;
    const size_t dash = item.find('-');
    if (item.size() == 3 && item[0] >= '1' && item[0] <= '5' && (item.substr(1) == "xx" || item.substr(1) == "XX")) {
      const int hundreds = (item[0] - '0') * 100;
      ranges_.emplace_back(hundreds, hundreds + 99);
    } else {
      const auto low = status_code(trimmed(item.substr(0, dash)));
      const auto high = dash == std::string_view::npos ? low : status_code(trimmed(item.substr(dash + 1)));
      if (!low || !high || *low > *high) return false;
      ranges_.emplace_back(*low, *high);
    }
  }
  return true;
}

bool StatusSet::has(long status) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const auto& range) { return status >= range.first && status <= range.second; });
}

std::string StatusSet::printed() const {
  std::string out;
  for (const auto& [low, high] : ranges_) {
    out += (out.empty() ? "" : ", ") + std::to_string(low) + (low == high ? "" : "-" + std::to_string(high));
  }
  return out;
}

HeaderRule header_rule(std::string_view name, const std::string& value) {
  HeaderRule rule{std::string(name), value, nullptr};
  std::transform(rule.name.begin(), rule.name.end(), rule.name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!value.empty() && value.front() == '~') rule.pattern = std::make_shared<net::Pattern>(value.substr(1));
  return rule;
}

bool HeaderRule::accepts(std::string_view seen) const {
  if (pattern != nullptr) return pattern->matches(trimmed(seen));
  return value == "*" || trimmed(value) == trimmed(seen);
}

BodyJudge::BodyJudge(const BodyRules& rules, size_t cap) : rules_(rules), cap_(cap), has_text_(rules.contains.empty()) {
  if (rules.matches != nullptr) search_.emplace(*rules.matches);
}

void BodyJudge::feed(std::string_view piece) {
  piece = piece.substr(0, cap_ - std::min(size_, cap_));
  size_ += piece.size();
  if (search_) search_->feed(piece);
  if (rules_.json_pointer || !has_text_) {
    const size_t old_size = kept_.size();
    kept_.append(piece);
    if (!has_text_) {
      const size_t from = old_size - std::min(old_size, rules_.contains.size() - 1);
      has_text_ = kept_.find(rules_.contains, from) != std::string::npos;
    }
    if (!rules_.json_pointer) {  // only what the text may begin in
      const size_t tail = std::min(kept_.size(), rules_.contains.size() - 1);
      kept_.erase(0, kept_.size() - tail);
    }
  }
}

bool BodyJudge::is_satisfied() const {
  return has_text_ && (!search_ || search_->is_found()) && !rules_.json_pointer;  // JSON is judged when it is whole
}

std::string BodyJudge::complaint(bool is_complete) {
  const std::string where = is_complete ? "the body (" + std::to_string(size_) + " bytes)"
                            : is_full() ? "the body, as far as max_body (" + std::to_string(cap_) + " bytes),"
                                        : "the body, as far as it came (" + std::to_string(size_) + " bytes),";
  if (!has_text_) return where + " does not contain " + net::quoted(rules_.contains);
  if (search_ && !search_->is_found() && !(is_complete && search_->end())) {
    return where + " does not match " + net::quoted(rules_.matches_text);
  }
  if (!rules_.json_pointer) return {};
  if (!is_complete)
    return "the body is longer than max_body (" + std::to_string(cap_) + " bytes) and cannot be read as JSON";
  return json_complaint(kept_, *rules_.json_pointer, rules_.json_equals);
}

std::string pointer_complaint(const std::string& pointer) {
  try {
    const nlohmann::json::json_pointer parsed(pointer);
    return {};
  } catch (const nlohmann::json::exception&) {
    return "is not a JSON pointer; write it as /status or /checks/0/state (RFC 6901)";
  }
}

std::string json_complaint(const std::string& body, const std::string& pointer,
                           const std::optional<std::string>& equals) {
  using nlohmann::json;
  const json document = json::parse(body, nullptr, false);
  if (document.is_discarded()) return "the body (" + std::to_string(body.size()) + " bytes) is not JSON";
  const json* found = nullptr;
  try {
    found = &document.at(json::json_pointer(pointer));
  } catch (const json::exception&) {
    return "the body has no " + net::quoted(pointer);
  }
  if (!equals) return {};
  const std::string prefix = net::quoted(pointer) + " is ";
  const std::string suffix = ", expected " + net::quoted(*equals);
  switch (found->type()) {
    case json::value_t::string: {
      const auto& text = found->get_ref<const std::string&>();
      return text == *equals ? std::string() : prefix + net::quoted(text) + suffix;
    }
    case json::value_t::boolean: {
      const std::string text = found->get<bool>() ? "true" : "false";
      return text == *equals ? std::string() : prefix + text + suffix;
    }
    case json::value_t::null:
      return *equals == "null" ? std::string() : prefix + "null" + suffix;
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float: {
      const std::string text = found->dump();
      if (text == *equals) return {};
      char* end = nullptr;
      const double wanted = std::strtod(equals->c_str(), &end);  // 1.0 is 1
      const bool is_number = !equals->empty() && *end == '\0';
      const double value = found->get<double>();
      if (is_number && value <= wanted && value >= wanted) return {};
      return prefix + text + suffix;
    }
    case json::value_t::object:
      return prefix + "an object" + suffix;
    case json::value_t::array:
      return prefix + "a list" + suffix;
    case json::value_t::binary:
    case json::value_t::discarded:
      break;
  }
  return prefix + "something else" + suffix;
}

}  // namespace vital::http
