// yaml-cpp's events to our tree. Its own Node loses the place of keys and takes the last of two equal keys silently, so
// we listen to its parser instead. Everything here is bounded: the text by the caller, nodes and depth below.
#include "config/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace vital::config {
namespace {

constexpr std::size_t most_nodes = 200'000;  // copies made by aliases count
constexpr std::size_t most_depth = 50;

// Ends the parse; what was wrong has been said.
struct GiveUp {};

class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& text, std::uint32_t file, Problems& problems) : file_(file), problems_(problems) {
    for (std::string_view line : split(text, '\n')) lines_.push_back(line);
  }

  std::optional<Node> root;
  int documents = 0;

  // yaml-cpp counts bytes from 0; people count characters from 1.
  Mark mark(const YAML::Mark& at) const {
    if (at.is_null() || at.line < 0) return {file_, 0, 0};
    int column = at.column;
    if (static_cast<std::size_t>(at.line) < lines_.size()) {
      for (const char c : lines_[static_cast<std::size_t>(at.line)].substr(0, static_cast<std::size_t>(at.column)))
        if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80) --column;
    }
    return {file_, at.line + 1, column + 1};
  }

  void OnDocumentStart(const YAML::Mark& at) override {
    if (++documents == 2) {
      problems_.add(mark(at), "", "a second document begins here; a config is one document: remove the '---'");
      throw GiveUp{};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override { take(leaf(Node::Kind::null, at), anchor); }

  void OnScalar(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    look_at_tag(at, tag);
    Node n = leaf(Node::Kind::scalar, at);
    n.text = value;
    if (value.find('\0') != std::string::npos) {
      problems_.add(n.mark, path(), "holds a NUL character, which no option can");
      n.text.clear();
    }
    is_plain_ = tag == "?";
    take(std::move(n), anchor);
  }

  void OnAlias(const YAML::Mark& at, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      problems_.add(mark(at), path(), "an alias to something it is a part of; write it out instead");
      Node nothing = leaf(Node::Kind::null, at);
      nothing.is_bad = true;
      return take(std::move(nothing), 0);
    }
    count(at, found->second.second);
    if (frames_.size() > 0 && frames_.back().node.is_map() && !frames_.back().has_key) {
      problems_.add(mark(at), path(), "an alias as a key; write the key out");
    }
    take(*found->second.first, 0);
  }

  void OnSequenceStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, at, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, at, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::size_t first_count = 0;  // nodes counted before it
    std::map<std::string, Mark, std::less<>> keys;
    std::vector<Node> merged;  // values of "<<"
    // Maps only: the key whose value comes next.
    bool has_key = false;
    bool is_dropped = false;  // the key was no good or a duplicate: forget its value
    bool is_merge = false;
    std::string key;
    Mark key_mark;
  };

  Node leaf(Node::Kind kind, const YAML::Mark& at) {
    count(at, 1);
    Node n;
    n.kind = kind;
    n.mark = mark(at);
    is_plain_ = true;
    return n;
  }

  void count(const YAML::Mark& at, std::size_t more) {
    nodes_ += more;
    if (nodes_ <= most_nodes) return;
    problems_.add(mark(at), path(),
                  fmt::format("the file says more than {} things, aliases written out: make it smaller", most_nodes));
    throw GiveUp{};
  }

  void look_at_tag(const YAML::Mark& at, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    problems_.add(mark(at), path(), fmt::format("the tag '{}' means nothing here; remove it", one_line(tag, 60)));
  }

  std::string path() const {
    std::vector<std::string> parts;
    for (const Frame& f : frames_) {
      if (f.node.is_map() && f.has_key) parts.push_back(f.key);
    }
    return join(parts, ".");
  }

  void open(Node::Kind kind, const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
    look_at_tag(at, tag);
    if (frames_.size() >= most_depth) {
      problems_.add(mark(at), "", fmt::format("nested deeper than {} levels", most_depth));
      throw GiveUp{};
    }
    Frame f;
    f.first_count = nodes_;
    f.node = leaf(kind, at);
    f.anchor = anchor;
    frames_.push_back(std::move(f));
  }

  void close() {
    Frame f = std::move(frames_.back());
    frames_.pop_back();
    for (const Node& from : f.merged) merge(f, from);
    if (f.anchor != 0) anchors_[f.anchor] = {std::make_shared<const Node>(f.node), nodes_ - f.first_count};
    take(std::move(f.node), 0);
  }

  // A whole node: becomes a key, a value, an item, or the root.
  void take(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {std::make_shared<const Node>(node), 1};
    if (frames_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& f = frames_.back();
    if (f.node.is_list()) {
      f.node.items.push_back(std::move(node));
    } else if (!f.has_key) {
      take_key(f, node);
    } else {
      f.has_key = false;
      if (f.is_dropped) return;
      if (f.is_merge) return take_merge(f, std::move(node));
      f.node.entries.push_back({std::move(f.key), f.key_mark, std::move(node)});
    }
  }

  void take_key(Frame& f, const Node& node) {
    f.is_dropped = f.is_merge = false;
    f.key_mark = node.mark;
    f.key = node.text;
    if (!node.is_scalar() || node.text.empty()) {
      problems_.add(node.mark, path(), "a key must be a word, as in 'interval: 5s'");
      f.is_dropped = true;
      f.key.assign(1, '?');
    } else if (node.text == "<<" && is_plain_) {
      f.is_merge = true;
    } else if (const auto [first, is_new] = f.keys.emplace(node.text, node.mark); !is_new) {
      const std::string outer = path();
      problems_.add(node.mark, outer.empty() ? node.text : outer + "." + node.text,
                    fmt::format("written twice; the first is in line {}: remove one", first->second.line));
      f.is_dropped = true;
    }
    f.has_key = true;
  }

  // YAML 1.1's merge key: what the map itself says wins.
  void take_merge(Frame& f, Node node) {
    std::vector<Node> from;
    if (node.is_list()) {
      from = std::move(node.items);
    } else {
      from.push_back(std::move(node));
    }
    bool is_good = !from.empty();
    for (const Node& n : from) is_good = is_good && n.is_map();
    if (!is_good) {
      problems_.add(f.key_mark, path(), "'<<' takes a map: '<<: *name', where '&name' stands before a map above");
      return;
    }
    for (Node& n : from) f.merged.push_back(std::move(n));
  }

  static void merge(Frame& f, const Node& from) {
    for (const Entry& e : from.entries) {
      if (f.keys.emplace(e.key, e.mark).second) f.node.entries.push_back(e);
    }
  }

  std::uint32_t file_;
  Problems& problems_;
  std::vector<std::string_view> lines_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, std::pair<std::shared_ptr<const Node>, std::size_t>> anchors_;  // with its count of nodes
  std::size_t nodes_ = 0;
  bool is_plain_ = true;  // the scalar just seen was not quoted
};

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U; };
    const unsigned lead = at(0);
    std::size_t length = 1;
    if (lead >= 0x80) length = lead >= 0xF0 && lead <= 0xF4 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
    if (length == 0 || lead > 0xF4) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((at(k) & 0xC0U) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

// yaml-cpp replaces what is not UTF-8 or control characters without a word, and takes UTF-16 for granted.
bool is_readable(const std::string& text, std::uint32_t file, Problems& problems) {
  int line = 1;
  for (const std::string_view whole : split(text, '\n')) {
    for (const char c : whole) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 || c == '\t' || c == '\r') continue;
      problems.add({file, line, 1}, "", "holds control characters; a config is UTF-8 text");
      return false;
    }
    if (!is_utf8(whole)) {
      problems.add({file, line, 1}, "", "is not UTF-8 text; save the file as UTF-8");
      return false;
    }
    ++line;
  }
  return true;
}

std::string hint(const std::string& text, const YAML::Exception& e) {
  const auto lines = split(text, '\n');
  const auto at = static_cast<std::size_t>(e.mark.line);
  const std::string_view line = e.mark.line >= 0 && at < lines.size() ? lines[at] : std::string_view();
  const std::size_t indent = line.find_first_not_of(' ');
  if (indent != std::string_view::npos && line[indent] == '\t') return "; a tab cannot indent, use spaces";
  if (line.find("${") != std::string_view::npos) return "; inside { } and [ ] quote variables: \"${NAME}\"";
  return {};
}

}  // namespace

std::optional<Node> parse_yaml(const std::string& given, std::uint32_t file, Problems& problems) {
  const std::string text = given.starts_with("\xEF\xBB\xBF") ? given.substr(3) : given;
  if (!is_readable(text, file, problems)) return {};
  Builder builder(text, file, problems);
  std::istringstream in(text);
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const GiveUp&) {
    return {};
  } catch (const YAML::Exception& e) {
    problems.add(builder.mark(e.mark), "", fmt::format("this is not YAML: {}{}", one_line(e.msg, 200), hint(text, e)));
    return {};
  }
  if (!builder.root) return Node{.mark = {file, 1, 1}};
  return std::move(builder.root);
}

}  // namespace vital::config
