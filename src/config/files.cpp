// See files.hpp.
#include "config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/yaml.hpp"

namespace vital::config {
namespace {

constexpr std::size_t most_bytes_of_config = 1024 * 1024;
constexpr std::size_t most_files = 256;
constexpr int most_include_depth = 8;

std::string real(const std::string& path) {
  std::error_code error;
  const auto canonical = std::filesystem::canonical(path, error);
  return error ? path : canonical.string();
}

// Reads files into one tree, following includes.
class Gatherer {
 public:
  Gatherer(const Environment& environment, Problems& problems) : environment_(environment), problems_(problems) {}

  // `from` is where the file was named; line 0 for the main file.
  std::optional<Node> read(const std::string& path, Mark from, int depth) {
    const bool is_main = depth == 0;
    std::string why;
    const auto content = read_file(path, most_bytes_of_config, &why);
    if (!content) {
      if (is_main) {
        problems_.add({problems_.add_file(path), 0, 0}, "", why + "; --config names another file");
      } else {
        problems_.add(from, "include", fmt::format("{} {}", path, why));
      }
      return {};
    }
    const std::uint32_t number = problems_.add_file(path);
    seen_.emplace(real(path), from);
    auto root = parse_yaml(content->text, number, problems_);
    if (!root) return {};
    if (root->is_null()) {
      if (!is_main) return Node{.kind = Node::Kind::map, .mark = root->mark};  // a conf.d file that is commented out
      problems_.add({number, 0, 0}, "", "is empty; write at least 'checks:' with one check");
      return {};
    }
    if (!root->is_map()) {
      problems_.add(root->mark, "", "a config is a map; begin with 'checks:'");
      return {};
    }
    expand(*root, "", environment_, problems_);
    open_.push_back(real(path));
    include(*root, depth);
    open_.pop_back();
    return root;
  }

 private:
  void include(Node& root, int depth) {
    const auto at = std::find_if(root.entries.begin(), root.entries.end(), [](auto& e) { return e.key == "include"; });
    if (at == root.entries.end()) return;
    const Node list = std::move(at->value);
    root.entries.erase(at);
    std::vector<Node> patterns = list.items;
    if (list.is_scalar()) patterns = {list};
    if (list.is_bad) return;
    if (!list.is_scalar() && !list.is_list()) {
      problems_.add(list.mark, "include", "must be a list of files, as in include: [conf.d/*.yaml]");
      return;
    }
    for (const Node& pattern : patterns) {
      if (pattern.is_bad) continue;
      if (!pattern.is_scalar() || pattern.text.empty()) {
        problems_.add(pattern.mark, "include", "must be a list of files, as in include: [conf.d/*.yaml]");
        continue;
      }
      for (const std::string& path : files_of(pattern)) add(root, path, pattern.mark, depth);
    }
  }

  std::vector<std::string> files_of(const Node& pattern) {
    const std::filesystem::path beside = problems_.directory_of(pattern.mark);
    const auto path = pattern.text.front() == '/' ? std::filesystem::path(pattern.text) : beside / pattern.text;
    if (pattern.text.find_first_of("*?[") == std::string::npos) return {path.lexically_normal().string()};
    // Only what was written is a pattern; the folder it stands in is meant literally.
    std::string text;
    for (const char c : pattern.text.front() == '/' ? std::string() : beside.string() + "/") {
      if (std::string_view("*?[\\").find(c) != std::string_view::npos) text += '\\';
      text += c;
    }
    text += pattern.text;
    glob_t found{};
    const int code = glob(text.c_str(), 0, nullptr, &found);
    std::vector<std::string> out(found.gl_pathv, found.gl_pathv + (code == 0 ? found.gl_pathc : 0));
    globfree(&found);
    for (std::string& each : out) each = std::filesystem::path(each).lexically_normal().string();
    if (code != 0 && code != GLOB_NOMATCH)
      problems_.add(pattern.mark, "include", fmt::format("{} cannot be searched", text));
    return out;
  }

  void add(Node& root, const std::string& path, Mark from, int depth) {
    const std::string id = real(path);
    if (std::find(open_.begin(), open_.end(), id) != open_.end()) {
      std::vector<std::string> round(std::find(open_.begin(), open_.end(), id), open_.end());
      round.push_back(id);
      problems_.add(from, "include", fmt::format("the files include each other: {}", join(round, " -> ")));
      return;
    }
    if (const auto before = seen_.find(id); before != seen_.end()) {
      problems_.add(
          from, "include",
          fmt::format("{} is included twice, first at {}: remove one", path, problems_.place(before->second)));
      return;
    }
    if (depth >= most_include_depth || seen_.size() >= most_files) {
      problems_.add(
          from, "include",
          fmt::format("{} is one too many: at most {} files, {} levels deep", path, most_files, most_include_depth));
      return;
    }
    if (auto part = read(path, from, depth + 1)) merge(root, std::move(*part));
  }

  void merge(Node& root, Node part) {
    for (Entry& e : part.entries) {
      const auto same =
          std::find_if(root.entries.begin(), root.entries.end(), [&](const Entry& o) { return o.key == e.key; });
      if (same == root.entries.end()) {
        root.entries.push_back(std::move(e));
      } else if (same->value.is_map() && e.value.is_map()) {
        for (Entry& inner : e.value.entries) {
          if (const Entry* first = same->value.find(inner.key)) {
            twice(e.key + "." + inner.key, *first, inner);
          } else {
            same->value.entries.push_back(std::move(inner));
          }
        }
      } else {
        twice(e.key, *same, e);
      }
    }
  }

  void twice(const std::string& path, const Entry& first, const Entry& second) {
    problems_.add(second.mark, path,
                  fmt::format("written in two files, first at {}: remove or rename one", problems_.place(first.mark)));
  }

  const Environment& environment_;
  Problems& problems_;
  std::vector<std::string> open_;     // real paths of the files being read, outermost first
  std::map<std::string, Mark> seen_;  // real path -> where it was named
};

}  // namespace

std::optional<FileText> read_file(const std::string& path, std::size_t most_bytes, std::string* why) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat seen {};
  if (!fd || fstat(fd.get(), &seen) != 0) {
    *why = errno == ENOENT ? std::string("is not there") : fmt::format("cannot be read: {}", std::strerror(errno));
    return {};
  }
  if (!S_ISREG(seen.st_mode)) {
    *why = S_ISDIR(seen.st_mode) ? "is a directory" : "is not a regular file";
    return {};
  }
  FileText out;
  out.mode = seen.st_mode & 07777U;
  out.text.resize(most_bytes + 1);
  std::size_t have = 0;
  while (have < out.text.size()) {
    const ssize_t n = read(fd.get(), out.text.data() + have, out.text.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      *why = fmt::format("cannot be read: {}", std::strerror(errno));
      return {};
    }
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  if (have > most_bytes) {
    *why = fmt::format("has more than {} KiB", most_bytes / 1024);
    return {};
  }
  out.text.resize(have);
  return out;
}

std::optional<Node> read_tree(const std::string& file, const Environment& environment, Problems& problems) {
  return Gatherer(environment, problems).read(file, {}, 0);
}

std::string find_file(const std::string& path, const std::string& beside, const Environment& environment) {
  namespace fs = std::filesystem;
  if (fs::path(path).is_absolute()) return path;
  std::error_code error;
  if (const auto credentials = environment("CREDENTIALS_DIRECTORY"); credentials && !credentials->empty()) {
    const fs::path there = fs::path(*credentials) / path;
    if (fs::exists(there, error)) return there.lexically_normal().string();
  }
  const fs::path here = fs::path(beside) / path;
  return fs::absolute(here, error).lexically_normal().string();
}

}  // namespace vital::config
