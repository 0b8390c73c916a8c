// Judging answers; see expect.hpp.
#include "expect.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>

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
  if (rules_.want_json() || !has_text_) {
    const size_t old_size = kept_.size();
    kept_.append(piece);
    if (!has_text_) {
      const size_t from = old_size - std::min(old_size, rules_.contains.size() - 1);
      has_text_ = kept_.find(rules_.contains, from) != std::string::npos;
    }
    if (!rules_.want_json()) {  // only what the text may begin in
      const size_t tail = std::min(kept_.size(), rules_.contains.size() - 1);
      kept_.erase(0, kept_.size() - tail);
    }
  }
}

bool BodyJudge::is_satisfied() const {
  return has_text_ && (!search_ || search_->is_found()) && !rules_.want_json();  // JSON is judged when it is whole
}

std::string BodyJudge::complaint(bool is_complete) {
  const std::string where = is_complete ? "the body (" + std::to_string(size_) + " bytes)"
                            : is_full() ? "the body, as far as max_body (" + std::to_string(cap_) + " bytes),"
                                        : "the body, as far as it came (" + std::to_string(size_) + " bytes),";
  if (!has_text_) return where + " does not contain " + net::quoted(rules_.contains);
  if (search_ && !search_->is_found() && !(is_complete && search_->end())) {
    return where + " does not match " + net::quoted(rules_.matches_text);
  }
  if (!rules_.want_json()) return {};
  if (!is_complete)
    return "the body is longer than max_body (" + std::to_string(cap_) + " bytes) and cannot be read as JSON";
  const std::string complaint =
      rules_.json_pointer ? json_complaint(kept_, *rules_.json_pointer, rules_.json_equals) : std::string();
  return complaint.empty() ? json_complaint(kept_, rules_.json_values) : complaint;
}

std::string pointer_complaint(const std::string& pointer) {
  try {
    const nlohmann::json::json_pointer parsed(pointer);
    return {};
  } catch (const nlohmann::json::exception&) {
    return "is not a JSON pointer; write it as /status or /checks/0/state (RFC 6901)";
  }
}

JsonRule json_rule(const std::string& pointer, const std::string& condition) {
  using Is = JsonRule::Is;
  static constexpr std::pair<std::string_view, Is> operators[] = {
      {"==", Is::equal},    {"!=", Is::different}, {"<=", Is::at_most},
      {">=", Is::at_least}, {"<", Is::less},       {">", Is::more}};  // the longer ones first
  const std::string why = pointer_complaint(pointer);
  if (!why.empty()) throw std::invalid_argument(why);
  JsonRule rule{pointer, condition, Is::equal, condition};
  if (condition == "*") rule.is = Is::there;
  if (condition.substr(0, 1) == "~") {
    rule.is = Is::matching;
    rule.pattern = std::make_shared<net::Pattern>(condition.substr(1));
  }
  for (const auto& [sign, is] : operators) {
    if (std::string_view(condition).substr(0, sign.size()) != sign) continue;
    rule.is = is;
    rule.value = std::string(trimmed(std::string_view(condition).substr(sign.size())));
    break;
  }
  if (rule.is == Is::less || rule.is == Is::at_most || rule.is == Is::more || rule.is == Is::at_least) {
    char* end = nullptr;
    rule.number = std::strtod(rule.value.c_str(), &end);
    if (rule.value.empty() || *end != '\0') {
      throw std::invalid_argument("compares with \"" + rule.value + "\", which is no number; write it as in \">= 3\"");
    }
  }
  return rule;
}

namespace {

using nlohmann::json;

// A value as a person would write it in a configuration; empty for an object, a list.
std::optional<std::string> written(const json& value) {
  switch (value.type()) {
    case json::value_t::string:
      return value.get_ref<const std::string&>();
    case json::value_t::boolean:
    case json::value_t::null:
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float:
      return value.dump();
    case json::value_t::object:
    case json::value_t::array:
    case json::value_t::binary:
    case json::value_t::discarded:
      break;
  }
  return {};
}

std::string shown(const json& value) {
  if (value.is_string()) return net::quoted(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return written(value).value_or("something else");
}

bool equals(const json& value, const std::string& expected) {
  const auto text = written(value);
  if (!text) return false;
  if (*text == expected) return true;
  if (!value.is_number() || expected.empty()) return false;
  char* end = nullptr;
  const double wanted = std::strtod(expected.c_str(), &end);  // 1.0 is 1
  const auto number = value.get<double>();
  return *end == '\0' && number <= wanted && number >= wanted;
}

bool holds(const JsonRule& rule, const json& value) {
  using Is = JsonRule::Is;
  const auto compares = [&](auto with) { return value.is_number() && with(value.get<double>(), rule.number); };
  switch (rule.is) {
    case Is::there:
      return true;
    case Is::matching: {
      const auto text = written(value);
      return text && rule.pattern->matches(*text);
    }
    case Is::equal:
      return equals(value, rule.value);
    case Is::different:
      return !equals(value, rule.value);
    case Is::less:
      return compares(std::less<>());
    case Is::at_most:
      return compares(std::less_equal<>());
    case Is::more:
      return compares(std::greater<>());
    case Is::at_least:
      return compares(std::greater_equal<>());
  }
  return false;
}

// The value at a pointer; null if there is none.
const json* value_at(const json& document, const std::string& pointer) {
  try {
    return &document.at(json::json_pointer(pointer));
  } catch (const json::exception&) {
    return nullptr;
  }
}

std::string no_json(const std::string& body) {
  return "the body (" + std::to_string(body.size()) + " bytes) is not JSON";
}

}  // namespace

std::string json_complaint(const std::string& body, const std::string& pointer,
                           const std::optional<std::string>& expected) {
  const json document = json::parse(body, nullptr, false);
  if (document.is_discarded()) return no_json(body);
  const json* found = value_at(document, pointer);
  if (found == nullptr) return "the body has no " + net::quoted(pointer);
  if (!expected || equals(*found, *expected)) return {};
  return net::quoted(pointer) + " is " + shown(*found) + ", expected " + net::quoted(*expected);
}

std::string json_complaint(const std::string& body, const std::vector<JsonRule>& rules) {
  if (rules.empty()) return {};
  const json document = json::parse(body, nullptr, false);
  if (document.is_discarded()) return no_json(body);
  for (const JsonRule& rule : rules) {
    const json* found = value_at(document, rule.pointer);
    if (found == nullptr) return "the body has no " + net::quoted(rule.pointer);
    if (!holds(rule, *found)) {
      return net::quoted(rule.pointer) + " is " + shown(*found) + ", expected " + net::quoted(rule.written);
    }
  }
  return {};
}

}  // namespace vital::http
