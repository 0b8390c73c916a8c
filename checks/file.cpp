// The file check: whether a file is there (or is not), how old and how large it is, and what is in it: the backup of
// last night, the mark of a job that ended, a state file. A name with * or ? is the newest of the files it matches. It
// blocks, and on a dead mount for ever: that is why it runs in a worker that can be killed. [worker]
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "amount.hpp"
#include "descriptor.hpp"
#include "file_errors.hpp"
#include "findings.hpp"
#include "net/pattern.hpp"
#include "words.hpp"

namespace vital::check {
namespace {

constexpr std::size_t most_matches = 10000;
constexpr std::size_t most_bytes = 1 << 20;  // of content that is looked at

std::optional<net::Pattern> pattern_option(const Options& o, const char* name) {
  if (!o.has(name)) return {};
  try {
    return net::Pattern(o.text(name));
  } catch (const net::Pattern::Error& e) {
    throw Invalid(name, e.what());
  }
}

// "3 h", "12 min", "40 s", "9 days".
std::string age_in_words(double seconds) {
  struct Unit {
    double size;
    const char* name;
  };
  static constexpr Unit units[] = {{86400 * 2, "days"}, {3600 * 2, "h"}, {60 * 2, "min"}, {0, "s"}};
  for (const Unit& u : units) {
    if (seconds < u.size) continue;
    char text[32];
    std::snprintf(text, sizeof text, "%.0f %s", seconds / std::max(1.0, u.size / 2), u.name);
    return text;
  }
  return "0 s";
}

class File final : public Blocking {
 public:
  explicit File(const Options& o)
      : path_(o.text("path")),
        is_pattern_(path_.find_first_of("*?[") != std::string::npos),
        must_be_absent_(o.boolean("absent")),
        age_(Limit::seconds(o, "warn_age", "fail_age")),
        too_small_(Limit::bytes(o, "warn_size_below", "fail_size_below", Bad::below)),
        too_large_(Limit::bytes(o, "warn_size_above", "fail_size_above")),
        contains_(o.text_or("contains", "")),
        matches_(pattern_option(o, "matches")),
        rejects_(pattern_option(o, "rejects")) {
    if (path_.empty() || path_.front() != '/') {
      throw Invalid("path", "\"" + path_ + "\" is not an absolute path; write /var/backups/app.dump, for example");
    }
    if (must_be_absent_) {
      for (const char* name : {"warn_age", "fail_age", "warn_size_below", "fail_size_below", "warn_size_above",
                               "fail_size_above", "contains", "matches", "rejects"}) {
        if (o.has(name)) throw Invalid(name, "means nothing for a file that must be absent; leave it or absent out");
      }
    }
  }

  Result probe(const Attempt&) override {
    Stopwatch watch;
    Result result = look();
    watch.lap(Phase::exchange);
    return watch.into(result);
  }

 private:
  Result look() const {
    std::string path = path_;
    struct stat about {};
    if (is_pattern_) {
      if (const std::optional<Result> trouble = find_newest(path, about)) return *trouble;
    } else if (stat(path.c_str(), &about) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return missing();
      return file_failure(path, errno);
    }
    if (must_be_absent_) return fail(Cause::content, path + " is there, and must not be");

    Findings found;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const double age = std::max(0.0, static_cast<double>(now.tv_sec - about.st_mtim.tv_sec) +
                                         static_cast<double>(now.tv_nsec - about.st_mtim.tv_nsec) / 1e9);
    const auto size = static_cast<double>(about.st_size);
    const std::string is_old = "it is " + age_in_words(age) + " old", is_large = "it has " + bytes_in_words(size);
    Result result = pass(path + " is there, " + age_in_words(age) + " old, " + bytes_in_words(size));
    found.judge(age_, age, is_old);
    found.judge(too_small_, size, is_large);
    found.judge(too_large_, size, is_large);
    age_.measure(result, "age", age, "s");
    result.measure("size", size, "B");
    if (is_pattern_) result.fact("newest", path);
    if (!contains_.empty() || matches_ || rejects_) {
      if (const std::optional<Result> trouble = judge_content(path, found)) return *trouble;
    }
    return found.into(std::move(result), path);
  }

  Result missing() const {
    return must_be_absent_ ? pass(path_ + " is not there, as it should be")
                           : fail(Cause::content, path_ + " is missing");
  }

  // The newest file that the pattern matches. A result if that is the end of it.
  std::optional<Result> find_newest(std::string& path, struct stat& newest) const {
    struct Matches {
      glob_t list{};
      ~Matches() { globfree(&list); }
    } matches;
    const int code = glob(path_.c_str(), GLOB_NOSORT, nullptr, &matches.list);
    if (code == GLOB_NOMATCH) return missing();
    if (code != 0) return unknown(Cause::agent, path_ + ": the files cannot be listed");
    if (matches.list.gl_pathc > most_matches) {
      return unknown(Cause::config,
                     path_ + " matches more than " + std::to_string(most_matches) + " files; write it narrower");
    }
    bool has_one = false;
    for (std::size_t i = 0; i < matches.list.gl_pathc; ++i) {
      struct stat about {};
      if (stat(matches.list.gl_pathv[i], &about) != 0) continue;  // gone since, or a link to nothing
      const bool is_newer =
          about.st_mtim.tv_sec > newest.st_mtim.tv_sec ||
          (about.st_mtim.tv_sec == newest.st_mtim.tv_sec && about.st_mtim.tv_nsec > newest.st_mtim.tv_nsec);
      if (has_one && !is_newer) continue;
      has_one = true;
      newest = about;
      path = matches.list.gl_pathv[i];
    }
    return has_one ? std::nullopt : std::optional(missing());
  }

  std::optional<Result> judge_content(const std::string& path, Findings& found) const {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd.get() < 0) return errno == ENOENT ? missing() : file_failure(path, errno);
    struct stat about {};
    if (fstat(fd.get(), &about) != 0) return file_failure(path, errno);
    if (!S_ISREG(about.st_mode))
      return unknown(Cause::config, path + " is no regular file, whose content could be looked at");
    std::string content(most_bytes, '\0');
    std::size_t have = 0;
    while (have < content.size()) {
      const ssize_t n = read(fd.get(), content.data() + have, content.size() - have);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return file_failure(path, errno);
      if (n == 0) break;
      have += static_cast<std::size_t>(n);
    }
    content.resize(have);
    if (!contains_.empty() && content.find(contains_) == std::string::npos) {
      found.add(Verdict::fail, Cause::content, "it does not contain " + shown(contains_));
    }
    if (matches_ && !matches_->matches(content))
      found.add(Verdict::fail, Cause::content, "it does not match the pattern of matches");
    if (rejects_ && rejects_->matches(content))
      found.add(Verdict::fail, Cause::content, "it matches the pattern of rejects");
    return {};
  }

  std::string path_;
  bool is_pattern_, must_be_absent_;
  Limit age_, too_small_, too_large_;
  std::string contains_;
  std::optional<net::Pattern> matches_, rejects_;
};

constexpr OptionRow options[] = {
    {"path", Type::string, nullptr, "the file; with * ? or [...] the newest of those that match",
     "/var/backups/app-*.dump", VITAL_OPTION_REQUIRED},
    {"absent", Type::boolean, "false", "true: the file must not be there"},
    {"warn_age", Type::duration, nullptr, "last written longer ago than this is a warning", "25h"},
    {"fail_age", Type::duration, nullptr, "longer ago than this is a failure", "49h"},
    {"warn_size_below", Type::size, nullptr, "smaller than this is a warning", "1MiB"},
    {"fail_size_below", Type::size, nullptr, "smaller than this is a failure", "1"},
    {"warn_size_above", Type::size, nullptr, "larger than this is a warning", "1GiB"},
    {"fail_size_above", Type::size, nullptr, "larger than this is a failure"},
    {"contains", Type::string, nullptr, "a text that must be in its first MiB", "status=ok"},
    {"matches", Type::string, nullptr, "a regular expression that its first MiB must match", "(?m)^status=(ok|idle)$"},
    {"rejects", Type::string, nullptr, "a regular expression that its first MiB must not match",
     "(?m)^[^ ]+ : active.*\\(F\\)"},
};

}  // namespace
}  // namespace vital::check

using vital::check::File;
using vital::check::options;
VITAL_BLOCKING_MODULE(File, "file", "1.0", "whether a file is there, how old and large it is, and what is in it",
                      options)
