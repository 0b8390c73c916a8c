// Secrets: read from the files that options name, and going nowhere but where they are used; see draft.hpp.
#include <fmt/format.h>
#include <sys/stat.h>

#include "config/draft.hpp"
#include "config/files.hpp"
#include "config/values.hpp"

namespace vital::config {
namespace {

constexpr std::size_t most_secret_bytes = 64 * 1024;

std::string_view advice(std::string_view path, std::string_view why) {
  if (why != "is not there" || path.starts_with('/')) return "";
  return "; a relative path is looked up in $CREDENTIALS_DIRECTORY, then beside the config";
}

}  // namespace

std::optional<Secret> read_secret_file(const Node& node, const std::string& path, const Context& cx) {
  const Reader reader{cx.problems, node, path};
  const auto written = reader.text();
  if (!written) return {};
  const auto refuse = [&](const std::string& text) {
    reader.complain(text);
    return std::nullopt;
  };
  if (written->empty()) return refuse("is empty; write the path of the file that holds the secret");
  Secret out;
  out.file = find_file(*written, cx.problems.directory_of(node.mark), cx.environment);
  std::string why;
  if (!cx.read_secrets) {
    struct stat seen {};
    if (stat(out.file.c_str(), &seen) != 0 || !S_ISREG(seen.st_mode))
      return refuse(fmt::format("{} is not there{}", out.file, advice(*written, "is not there")));
    return out;
  }
  auto content = read_file(out.file, most_secret_bytes, &why);
  if (!content) return refuse(fmt::format("{} {}{}", out.file, why, advice(*written, why)));
  if (content->text.ends_with('\n')) content->text.pop_back();
  if (content->text.ends_with('\r')) content->text.pop_back();
  if (content->text.empty()) return refuse(fmt::format("{} is empty; write the secret into it", out.file));
  if (content->text.find('\0') != std::string::npos)
    return refuse(fmt::format("{} holds a NUL byte; a secret is text", out.file));
  if ((content->mode & 0004U) != 0)
    cx.problems.warn(node.mark, path, fmt::format("{} can be read by everybody; chmod o-r it", out.file));
  out.text = std::move(content->text);
  return out;
}

}  // namespace vital::config
