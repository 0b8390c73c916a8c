// See values.hpp.
#include "config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/duration.hpp"
#include "base/text.hpp"

namespace vital::config {
namespace {

bool is_decimal(std::string_view text, bool with_fraction) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t dot = with_fraction ? text.find('.') : std::string_view::npos;
  const auto digits = [](std::string_view t) {
    return !t.empty() && t.size() <= 18 && t.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (dot == std::string_view::npos) return digits(text);
  return digits(text.substr(0, dot)) && digits(text.substr(dot + 1));
}

bool is_within(double value, const Range& range) { return !range || (value >= range->first && value <= range->second); }

std::string plain(double value) { return fmt::format("{:.15g}", value); }

std::string between(const Range& range) {
  return range ? fmt::format(" from {} to {}", plain(range->first), plain(range->second)) : std::string();
}

std::string duration_text(double seconds_of) {
  return format_duration(Duration(std::llround(std::min(seconds_of, 9e9) * 1e9)));
}

std::string size_text(double bytes) {
  static constexpr std::pair<std::string_view, double> units[] = {
      {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}};
  for (const auto& [unit, factor] : units) {
    if (bytes >= factor && std::fmod(bytes, factor) == 0) return plain(bytes / factor) + std::string(unit);
  }
  return plain(bytes) + "B";
}

std::optional<double> percent_of(std::string_view text) {
  if (!text.ends_with('%')) return {};
  text = trim(text.substr(0, text.size() - 1));
  if (!is_decimal(text, true)) return {};
  return std::strtod(std::string(text).c_str(), nullptr);
}

}  // namespace

std::string_view kind_name(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "nothing";
}

std::string Reader::shown() const {
  const std::string value = fmt::format("'{}'", one_line(node.text, 60));
  return node.written.empty() ? value : fmt::format("{} (from {})", value, one_line(node.written, 60));
}

bool Reader::is_scalar(std::string_view wanted) const {
  if (node.is_bad) return false;
  if (node.is_scalar()) return true;
  complain(fmt::format("is {}; write {}", kind_name(node), wanted));
  return false;
}

std::optional<std::string> Reader::text() const {
  if (!is_scalar("one word or a quoted text")) return {};
  return node.text;
}

std::optional<Duration> Reader::duration(const Range& range) const {
  if (!is_scalar("a duration, as in 250ms, 5s, 10m or 1h")) return {};
  const auto d = parse_duration(node.text);
  if (!d && is_decimal(node.text, true)) {
    complain(fmt::format("{} has no unit; write {}s, or another of us, ms, s, m, h, d", shown(), node.text));
    return {};
  }
  if (!d) {
    complain(fmt::format("{} is no duration; write a number and a unit, as in 250ms, 5s, 10m or 1h", shown()));
    return {};
  }
  if (!is_within(seconds(*d), range)) {
    complain(fmt::format("{} is out of range; write {} to {}", shown(), duration_text(range->first),
                         duration_text(range->second)));
    return {};
  }
  return d;
}

std::optional<std::int64_t> Reader::integer(const Range& range) const {
  const std::string wanted = "a whole number" + between(range);
  if (!is_scalar(wanted)) return {};
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
  if (!is_decimal(node.text, false) || error != std::errc{} || end != node.text.data() + node.text.size()) {
    complain(fmt::format("{} is no whole number; write {}", shown(), wanted));
    return {};
  }
  if (!is_within(static_cast<double>(value), range)) {
    complain(fmt::format("{} is out of range; write {}", shown(), wanted));
    return {};
  }
  return value;
}

std::optional<std::string> Reader::number(const Range& range) const {
  const std::string wanted = "a number" + between(range);
  if (!is_scalar(wanted)) return {};
  if (!is_decimal(node.text, true)) {
    complain(fmt::format("{} is no number; write {}", shown(), wanted));
    return {};
  }
  if (!is_within(std::strtod(node.text.c_str(), nullptr), range)) {
    complain(fmt::format("{} is out of range; write {}", shown(), wanted));
    return {};
  }
  return node.text;
}

std::optional<bool> Reader::boolean() const {
  if (!is_scalar("true or false")) return {};
  if (node.text == "true") return true;
  if (node.text == "false") return false;
  complain(fmt::format("{} is neither true nor false; write one of them", shown()));
  return {};
}

std::optional<std::uint64_t> Reader::size(const Range& range) const {
  if (!is_scalar("a size, as in 4096, 64KiB or 10MB")) return {};
  const auto bytes = parse_size(node.text);
  if (!bytes) {
    complain(fmt::format("{} is no size; write bytes, or a number and a unit, as in 64KiB or 10MB", shown()));
    return {};
  }
  if (!is_within(static_cast<double>(*bytes), range)) {
    complain(
        fmt::format("{} is out of range; write {} to {}", shown(), size_text(range->first), size_text(range->second)));
    return {};
  }
  return bytes;
}

std::optional<std::string> Reader::size_or_percent(const Range& range) const {
  if (!is_scalar("a size or a share, as in 500MB or 10%")) return {};
  if (!node.text.ends_with('%')) {
    if (!parse_size(node.text)) {
      complain(fmt::format("{} is neither a size nor a share; write it as in 500MB or 10%", shown()));
      return {};
    }
    const auto bytes = size(range);
    return bytes ? std::optional(std::to_string(*bytes)) : std::nullopt;
  }
  const auto share = percent_of(node.text);
  if (!share || *share < 0 || *share > 100) {
    complain(fmt::format("{} is no share; write 0% to 100%", shown()));
    return {};
  }
  return std::string(trim(std::string_view(node.text).substr(0, node.text.size() - 1))) + "%";
}

std::optional<std::string> Reader::choice(const std::vector<std::string>& choices) const {
  const std::string wanted = "one of " + join(choices, ", ");
  if (!is_scalar(wanted)) return {};
  if (std::find(choices.begin(), choices.end(), node.text) != choices.end()) return node.text;
  const auto near = nearest(node.text, choices);
  complain(fmt::format("{} is not {}{}", shown(), wanted, near ? fmt::format("; did you mean {}?", *near) : ""));
  return {};
}

std::optional<std::vector<std::string>> Reader::texts() const {
  if (node.is_bad) return {};
  if (node.is_scalar()) return std::vector{node.text};
  if (!node.is_list()) {
    complain(fmt::format("is {}; write a list, as in [a, b]", kind_name(node)));
    return {};
  }
  std::vector<std::string> out;
  bool is_good = true;
  for (const Node& item : node.items) {
    if (item.is_bad || !item.is_scalar()) {
      if (!item.is_bad)
        problems.add(item.mark, path, fmt::format("holds {}; each item must be a single value", kind_name(item)));
      is_good = false;
      continue;
    }
    out.push_back(item.text);
  }
  if (!is_good) return {};
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> Reader::pairs() const {
  if (node.is_bad) return {};
  if (!node.is_map()) {
    complain(fmt::format("is {}; write a map, as in {{name: value}}", kind_name(node)));
    return {};
  }
  std::vector<std::pair<std::string, std::string>> out;
  bool is_good = true;
  for (const Entry& e : node.entries) {
    if (e.value.is_bad || !e.value.is_scalar()) {
      if (!e.value.is_bad)
        problems.add(e.mark, path + "." + e.key,
                     fmt::format("is {}; write a single value, \"\" for none", kind_name(e.value)));
      is_good = false;
      continue;
    }
    out.emplace_back(e.key, e.value.text);
  }
  if (!is_good) return {};
  return out;
}

std::optional<std::vector<std::string>> normalised(const Reader& reader, const OptionSpec& spec) {
  const auto one = [](auto value, auto to_text) -> std::optional<std::vector<std::string>> {
    if (!value) return {};
    return std::vector<std::string>{to_text(*value)};
  };
  const auto same = [](std::string v) { return v; };
  const auto digits = [](auto v) { return std::to_string(v); };
  switch (spec.type) {
    case OptionType::string: {
      auto text = reader.text();
      if (text && text->empty() && spec.is_required) {
        reader.complain(spec.example.empty() ? "is empty; write something"
                                             : fmt::format("is empty; write it as in {}", spec.example));
        return {};
      }
      return one(std::move(text), same);
    }
    case OptionType::integer:
      return one(reader.integer(spec.range), digits);
    case OptionType::number:
      return one(reader.number(spec.range), same);
    case OptionType::boolean:
      return one(reader.boolean(), [](bool b) { return std::string(b ? "true" : "false"); });
    case OptionType::duration:
      return one(reader.duration(spec.range), [](Duration d) { return std::to_string(d.count()); });
    case OptionType::size:
      return one(reader.size(spec.range), digits);
    case OptionType::size_or_percent:
      return one(reader.size_or_percent(spec.range), same);
    case OptionType::choice:
      return one(reader.choice(spec.choices), same);
    case OptionType::list: {
      auto items = reader.texts();
      if (items && items->empty() && spec.is_required) {
        reader.complain("is an empty list; write at least one item");
        return {};
      }
      return items;
    }
    case OptionType::map: {
      const auto pairs = reader.pairs();
      if (!pairs) return {};
      std::vector<std::string> out;
      for (const auto& [key, value] : *pairs) {
        out.push_back(key);
        out.push_back(value);
      }
      return out;
    }
  }
  return {};
}

}  // namespace vital::config
