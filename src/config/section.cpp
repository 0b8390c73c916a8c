// See section.hpp.
#include "config/section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace vital::config {

Section::Section(Problems& problems, const Node& node, std::string path, std::string_view section, Unknown unknown)
    : problems_(problems), path_(std::move(path)), name_(section), keys_(keys_of(section)) {
  if (node.is_bad) return;
  if (!node.is_map()) {
    problems_.add(node.mark, path_, fmt::format("is {}; write a map, with {}", kind_name(node), [&] {
                    std::vector<std::string> names;
                    for (const Key* k : keys_) names.emplace_back(k->name);
                    return some_of(names, 8);
                  }()));
    return;
  }
  node_ = &node;
  for (const Entry& e : node.entries) {
    const bool is_known = std::any_of(keys_.begin(), keys_.end(), [&](const Key* k) { return k->name == e.key; });
    if (is_known && e.value.is_null() && !e.value.is_bad) {
      problems_.add(e.mark, path_of(e.key), "has no value; write one, or remove the line");
    } else if (!is_known && unknown == Unknown::collected) {
      rest_.push_back(&e);
    } else if (!is_known) {
      std::vector<std::string> names;
      for (const Key* k : keys_) names.emplace_back(k->name);
      problems_.add(e.mark, path_of(e.key), "unknown key" + suggestion(e.key, names));
    }
  }
}

std::string Section::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const Entry* Section::entry(std::string_view key) const {
  const bool is_known = std::any_of(keys_.begin(), keys_.end(), [&](const Key* k) { return k->name == key; });
  return node_ == nullptr || !is_known ? nullptr : node_->find(key);
}

const Node* Section::get(std::string_view key) const {
  const Entry* e = entry(key);
  return e == nullptr || e->value.is_null() || e->value.is_bad ? nullptr : &e->value;
}

const Key& Section::row(std::string_view key, Kind kind) const {
  for (const Key* k : keys_) {
    if (k->name == key && k->kind == kind) return *k;
  }
  throw std::logic_error(fmt::format("the key table has no such {}.{}", name_, key));
}

Range Section::range(const Key& key) const {
  if (key.min == 0 && key.max == 0) return {};
  return std::pair(key.min, key.max);
}

std::optional<std::string> Section::text(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  row(key, Kind::text);
  auto text = Reader{problems_, *n, path_of(key)}.text();
  if (text && text->empty()) {
    complain(key, "is empty; write something, or remove the line");
    return {};
  }
  return text;
}

std::optional<std::vector<std::string>> Section::texts(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  row(key, Kind::texts);
  return Reader{problems_, *n, path_of(key)}.texts();
}

std::optional<Duration> Section::duration(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  return Reader{problems_, *n, path_of(key)}.duration(range(row(key, Kind::duration)));
}

std::optional<std::int64_t> Section::integer(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  return Reader{problems_, *n, path_of(key)}.integer(range(row(key, Kind::integer)));
}

std::optional<std::uint64_t> Section::size(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  return Reader{problems_, *n, path_of(key)}.size(range(row(key, Kind::size)));
}

std::optional<double> Section::number(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  const auto text = Reader{problems_, *n, path_of(key)}.number(range(row(key, Kind::number)));
  if (!text) return {};
  return std::strtod(text->c_str(), nullptr);
}

std::optional<bool> Section::boolean(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  row(key, Kind::boolean);
  return Reader{problems_, *n, path_of(key)}.boolean();
}

std::optional<std::string> Section::choice(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  return Reader{problems_, *n, path_of(key)}.choice(choices_of(row(key, Kind::choice)));
}

std::optional<std::vector<std::pair<std::string, std::string>>> Section::labels(std::string_view key) const {
  const Node* n = get(key);
  if (n == nullptr) return {};
  row(key, Kind::labels);
  auto pairs = Reader{problems_, *n, path_of(key)}.pairs();
  if (!pairs) return {};
  for (const auto& [name, value] : *pairs) {
    const bool is_good = name.size() <= 64 && value.size() <= 256 &&
                         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/") ==
                             std::string::npos;
    if (is_good) continue;
    problems_.add(n->find(name)->mark, path_of(key) + "." + name,
                  "a label's name is letters, digits and _ . - /, at most 64; its value at most 256 bytes");
    return {};
  }
  return pairs;
}

Section Section::section(std::string_view key, std::string_view name) const {
  const Node* n = get(key);
  if (n == nullptr) return {problems_, path_of(key)};
  return {problems_, *n, path_of(key), name};
}

void Section::complain(std::string_view key, std::string text) const {
  const Entry* e = entry(key);
  problems_.add(e != nullptr ? e->value.mark : mark(), path_of(key), std::move(text));
}

}  // namespace vital::config
