// Node: what a YAML file says, as a tree that knows where each word stands. No library's types: yaml.cpp makes it, the
// rest of the room reads it. Anchors, aliases and merge keys are resolved, environment variables are expanded. Plain
// values; [control].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vital::config {

// Where something is written. Lines and columns from 1; line 0 is the file as a whole.
struct Mark {
  std::uint32_t file = 0;  // into Problems::files()
  int line = 0;
  int column = 0;
};

struct Entry;

struct Node {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  Mark mark;
  bool is_bad = false;         // reported already: nobody needs to look at it again
  std::string text;            // scalar, expanded
  std::string written;         // scalar as written, only if that is something else than `text`
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // map, in the order written; no key twice

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }

  const Entry* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  Mark mark;  // of the key
  Node value;
};

inline const Entry* Node::find(std::string_view key) const {
  for (const Entry& e : entries) {
    if (e.key == key) return &e;
  }
  return nullptr;
}

}  // namespace vital::config
