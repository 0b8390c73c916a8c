// A check's own options against the table its module declares: nested maps are dotted names there, a secret is written
// NAME_file. What is handed on is normalised text (module.h). Secrets are read here and go nowhere but into the spec.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/files.hpp"
#include "config/keys.hpp"
#include "config/values.hpp"
#include "config/yaml.hpp"

namespace vital::config {
namespace {

constexpr std::string_view file_suffix = "_file";

// "search.base", "ou=people" -> "search: {base: ou=people}"
std::string as_written(const std::string& option, const std::string& value) {
  const auto parts = split(option, '.');
  std::string out(parts.back());
  out += ": " + value;
  for (std::size_t i = parts.size() - 1; i-- > 0;) out = fmt::format("{}: {{{}}}", parts[i], out);
  return out;
}

// One check's options while they are read.
class OptionReader {
 public:
  // `common`: the section of what every one of them has besides.
  OptionReader(const Entry& check, std::string path, std::string_view common, CheckSpec& spec,
               std::vector<Setting>& settings, const Context& cx)
      : check_(check), spec_(spec), settings_(settings), cx_(cx), path_(std::move(path)), common_(common) {}

  bool read(const std::vector<const Entry*>& written) {
    const std::size_t before = cx_.problems.count();
    for (const Entry* e : written) read_entry(*e, "");
    for (const OptionSpec& o : spec_.module.options) {
      if (seen_.count(o.name) == 0) fill_in(o);
    }
    // In the order the module declares them, so that the same config always gives the same spec.
    std::stable_sort(spec_.values.begin(), spec_.values.end(),
                     [&](const auto& a, const auto& b) { return place(a.first) < place(b.first); });
    return cx_.problems.count() == before;
  }

 private:
  std::ptrdiff_t place(const std::string& option) const {
    return spec_.module.find(option) - spec_.module.options.data();
  }

  const OptionSpec* secret_behind(const std::string& name) const {
    if (!name.ends_with(file_suffix)) return nullptr;
    const OptionSpec* o = spec_.module.find(name.substr(0, name.size() - file_suffix.size()));
    return o != nullptr && o->is_secret ? o : nullptr;
  }

  bool is_group(const std::string& name) const {
    return std::any_of(spec_.module.options.begin(), spec_.module.options.end(),
                       [&](const OptionSpec& o) { return o.name.starts_with(name + "."); });
  }

  void read_entry(const Entry& e, const std::string& prefix) {
    const std::string name = prefix + e.key;
    const std::string path = path_ + "." + name;
    const OptionSpec* option = spec_.module.find(name);
    const bool has_members = is_group(name);
    if (e.key.find('.') != std::string::npos) {
      unknown(e, path, prefix);
    } else if (option != nullptr && option->is_secret) {
      seen_.insert(name);
      cx_.problems.add(
          e.mark, path,
          fmt::format("a secret does not stand in the config; write {}_file: PATH of a file that holds it", e.key));
    } else if (const OptionSpec* secret = secret_behind(name); secret != nullptr) {
      seen_.insert(secret->name);
      if (is_usable(e, path)) read_secret(e, path, *secret);
    } else if (option != nullptr && !(has_members && e.value.is_map() && option->type != OptionType::map)) {
      seen_.insert(name);
      if (is_usable(e, path)) read_value(e, path, *option);
    } else if (has_members) {
      if (!is_usable(e, path)) {
        mark_seen(name + ".");
      } else if (!e.value.is_map()) {
        mark_seen(name + ".");
        cx_.problems.add(
            e.value.mark, path,
            fmt::format("is {}; write a map, with {}", kind_name(e.value), some_of(members(name + "."), 12)));
      } else {
        for (const Entry& inner : e.value.entries) read_entry(inner, name + ".");
      }
    } else {
      unknown(e, path, prefix);
    }
  }

  // Whether it has a value at all; says so if not.
  bool is_usable(const Entry& e, const std::string& path) {
    if (e.value.is_bad) return false;
    if (!e.value.is_null()) return true;
    cx_.problems.add(e.mark, path, "has no value; write one (\"\" for an empty text), or remove the line");
    return false;
  }

  void mark_seen(const std::string& prefix) {
    for (const OptionSpec& o : spec_.module.options) {
      if (o.name.starts_with(prefix)) seen_.insert(o.name);
    }
  }

  // What may be written below `prefix`, as it is written.
  std::vector<std::string> members(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const OptionSpec& o : spec_.module.options) {
      if (!o.name.starts_with(prefix)) continue;
      std::string rest = o.name.substr(prefix.size());
      if (const auto dot = rest.find('.'); dot != std::string::npos) {
        rest.resize(dot);
      } else if (o.is_secret) {
        rest += file_suffix;
      }
      if (std::find(out.begin(), out.end(), rest) == out.end()) out.push_back(std::move(rest));
    }
    return out;
  }

  void unknown(const Entry& e, const std::string& path, const std::string& prefix) {
    auto known = members(prefix);
    if (e.key.find('.') != std::string::npos && prefix.empty() &&
        (spec_.module.find(e.key) != nullptr || secret_behind(e.key) != nullptr)) {
      cx_.problems.add(e.mark, path, fmt::format("is written as a map: {}", as_written(e.key, "...")));
      mark_seen(e.key);
      return;
    }
    if (prefix.empty() && !nearest(e.key, known)) {
      for (const Key* k : keys_of(common_)) {
        if (k->name != "type") known.emplace_back(k->name);
      }
      // The module's own come first and alone, unless the word is nearer to one that every check has.
      if (!nearest(e.key, known)) known = members(prefix);
    }
    cx_.problems.add(e.mark, path,
                     fmt::format("unknown key for type {}{}", spec_.module.type, suggestion(e.key, known)));
  }

  void read_value(const Entry& e, const std::string& path, const OptionSpec& option) {
    auto items = normalised({cx_.problems, e.value, path}, option);
    if (!items) return;
    const bool is_tls_file = option.name == "tls.ca" || option.name == "tls.certificate" || option.name == "tls.key";
    if (is_tls_file && !items->front().empty()) {
      // The worker that opens it runs in another folder.
      items->front() = find_file(items->front(), cx_.problems.directory_of(e.value.mark), cx_.environment);
    }
    settings_.push_back({option.name, shown(e.value), "check"});
    spec_.values.emplace_back(option.name, std::move(*items));
  }

  // Headers and variables of the environment whose names say that what they hold is private.
  static bool is_private(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    constexpr const char* words[] = {"authorization", "cookie", "token", "secret", "passw", "api-key", "api_key"};
    return std::any_of(std::begin(words), std::end(words),
                       [&](const char* word) { return name.find(word) != std::string::npos; });
  }

  // For people, the log and the journal. What came from the environment is shown as it was written: it may be something
  // private.
  static std::string shown(const Node& n) {
    std::string out;
    if (n.is_scalar()) return n.written.empty() ? n.text : n.written;
    for (const Node& item : n.items) out += (out.empty() ? "" : ", ") + shown(item);
    for (const Entry& e : n.entries) {
      const bool is_hidden = is_private(e.key) && e.value.is_scalar() && e.value.written.empty();
      out += (out.empty() ? "" : ", ") + e.key + ": " + (is_hidden ? "(secret)" : shown(e.value));
    }
    return n.is_map() ? "{" + out + "}" : "[" + out + "]";
  }

  void read_secret(const Entry& e, const std::string& path, const OptionSpec& option) {
    auto secret = read_secret_file(e.value, path, cx_);
    if (!secret) return;
    settings_.push_back({option.name, "(secret)", secret->file});
    spec_.values.emplace_back(option.name, std::vector<std::string>{std::move(secret->text)});
    spec_.secrets.push_back(option.name);
  }

  // An option that is not written: its default, or a complaint.
  void fill_in(const OptionSpec& option) {
    const std::string name = option.is_secret ? option.name + std::string(file_suffix) : option.name;
    if (option.is_required) {
      const std::string value = option.is_secret ? "PATH" : option.example.empty() ? "..." : option.example;
      cx_.problems.add(check_.mark, path_, fmt::format("needs {}; write {}", name, as_written(name, value)));
      return;
    }
    if (!option.fallback || option.is_secret) return;
    const std::string path = path_ + "." + option.name;
    Problems own;
    Node value{.kind = Node::Kind::scalar, .text = *option.fallback};
    const std::uint32_t nowhere = own.add_file("default");
    if (option.type == OptionType::list || option.type == OptionType::map) {
      if (auto parsed = parse_yaml(*option.fallback, nowhere, own); parsed && !parsed->is_null()) value = *parsed;
    }
    auto items = normalised({own, value, path}, option);
    if (!items || own.any()) {
      cx_.problems.add(
          check_.mark, path,
          fmt::format("the default '{}' that the module {} declares is not a value of the type it declares",
                      one_line(*option.fallback, 60), spec_.module.path));
      return;
    }
    settings_.push_back({option.name, *option.fallback, "default"});
    spec_.values.emplace_back(option.name, std::move(*items));
  }

  const Entry& check_;
  CheckSpec& spec_;
  std::vector<Setting>& settings_;
  const Context& cx_;
  std::string path_;
  std::string_view common_;
  std::set<std::string> seen_;
};

}  // namespace

bool read_options(const Entry& check, const std::vector<const Entry*>& written, CheckSpec& spec,
                  std::vector<Setting>& settings, const Context& cx) {
  return OptionReader(check, "checks." + check.key, "check", spec, settings, cx).read(written);
}

bool read_action_options(const Entry& action, const std::string& path, const std::vector<const Entry*>& written,
                         CheckSpec& spec, const Context& cx) {
  std::vector<Setting> settings;
  return OptionReader(action, path, "action", spec, settings, cx).read(written);
}

Mark place_of_option(const Entry& check, const std::string& option) {
  Mark at = check.mark;
  const Node* n = &check.value;
  for (const std::string_view part : split(option, '.')) {
    const Entry* e = n->find(part);
    if (e == nullptr) e = n->find(std::string(part) + std::string(file_suffix));
    if (e == nullptr) break;
    at = e->value.mark;
    n = &e->value;
  }
  return at;
}

}  // namespace vital::config
