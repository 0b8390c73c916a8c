// process: whether the processes an operator means are there, how many, and how they are: age, memory, descriptors.
// Found by pid file, by program name, or by a pattern over the command line. Reads /proc only. A blocking module: /proc
// of a process in trouble can be slow.
#include <dirent.h>
#include <pwd.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vitald/check.hpp>

namespace {

using namespace vital::check;

constexpr OptionRow options[] = {
    {"pidfile", Type::string, nullptr,
     "a file that holds the pid; a stale one is told from a live one by `name` if given", "/run/nginx.pid"},
    {"name", Type::string, nullptr, "the program's name as in /proc/PID/comm, exactly (the kernel keeps 15 characters)",
     "nginx"},
    {"command", Type::string, nullptr, "a POSIX extended regular expression over the whole command line",
     "^java .*app\\.jar"},
    {"user", Type::string, nullptr, "count only processes of this user", "www-data"},
    {"min_count", Type::integer, "1", "fewer than this is fail", "2", 0, nullptr, 0, 100000},
    {"max_count", Type::integer, nullptr, "more than this is fail", "64", 0, nullptr, 0, 100000},
    {"min_age", Type::duration, nullptr, "younger than this is warn: it has just been restarted", "30s"},
    {"warn_memory", Type::size, nullptr, "one process using more resident memory than this is warn", "1GiB"},
    {"fail_memory", Type::size, nullptr, "one process using more resident memory than this is fail", "2GiB"},
    {"warn_descriptors", Type::integer, nullptr, "one process with more percent of its descriptor limit in use is warn",
     "80", 0, nullptr, 1, 100},
    {"fail_descriptors", Type::integer, nullptr, "one process with more percent of its descriptor limit in use is fail",
     "95", 0, nullptr, 1, 100},
};

struct Process {
  pid_t pid = 0;
  std::string comm;
  char state = '?';
  double age = 0;           // seconds
  double resident = 0;      // bytes
  double descriptors = -1;  // percent of its soft limit, -1 = may not be read
};

std::string slurp(const std::string& path, size_t bound = 16384) {
  std::ifstream file(path, std::ios::binary);
  std::string out(bound, '\0');
  file.read(out.data(), static_cast<std::streamsize>(bound));
  out.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return out;
}

class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    if (const int code = regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB); code != 0) {
      char why[128];
      regerror(code, &compiled_, why, sizeof why);
      throw Invalid("command", "is no regular expression: " + std::string(why));
    }
  }
  ~Pattern() { regfree(&compiled_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  bool matches(const std::string& text) const { return regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0; }

 private:
  regex_t compiled_{};
};

class ProcessCheck final : public Blocking {
 public:
  explicit ProcessCheck(const Options& o)
      : pidfile_(o.text_or("pidfile", "")),
        name_(o.text_or("name", "").substr(0, 15)),
        min_count_(o.integer("min_count")),
        max_count_(o.integer_or("max_count", -1)),
        min_age_(o.has("min_age") ? std::chrono::duration<double>(o.duration("min_age")).count() : 0),
        warn_memory_(o.has("warn_memory") ? o.number("warn_memory") : no_threshold),
        fail_memory_(o.has("fail_memory") ? o.number("fail_memory") : no_threshold),
        warn_descriptors_(o.has("warn_descriptors") ? o.number("warn_descriptors") : no_threshold),
        fail_descriptors_(o.has("fail_descriptors") ? o.number("fail_descriptors") : no_threshold) {
    if (o.has("command")) command_ = std::make_unique<Pattern>(o.text("command"));
    if (pidfile_.empty() && name_.empty() && command_ == nullptr) {
      throw Invalid("name", "say which processes: pidfile, name or command");
    }
    if (max_count_ >= 0 && max_count_ < min_count_) throw Invalid("max_count", "is below min_count");
    if (o.has("user")) {
      const passwd* user = getpwnam(o.text("user").c_str());
      if (user == nullptr) throw Invalid("user", "there is no user " + o.text("user"));
      uid_ = user->pw_uid;
    }
  }

  Result probe(const Attempt& attempt) override {
    std::vector<Process> found;
    if (!pidfile_.empty()) {
      std::string why;
      const pid_t pid = read_pidfile(why);
      if (pid <= 0) return fail(Cause::content, why);
      Process process;
      if (!inspect(pid, process))
        return fail(Cause::content, "process " + std::to_string(pid) + " of " + pidfile_ + " is not there");
      if (!is_meant(process))
        return fail(Cause::content, pidfile_ + " is stale: process " + std::to_string(pid) + " is " + process.comm);
      found.push_back(process);
    } else if (!scan(attempt, found)) {
      return unknown(Cause::agent, "/proc could not be read: " + std::string(std::strerror(errno)));
    }
    return judge(found);
  }

 private:
  pid_t read_pidfile(std::string& why) const {
    const std::string text = slurp(pidfile_, 64);
    if (text.empty()) {
      why = pidfile_ + " is not there or empty";
      return -1;
    }
    const long pid = std::strtol(text.c_str(), nullptr, 10);
    if (pid <= 0) why = pidfile_ + " holds no pid";
    return static_cast<pid_t>(pid);
  }

  static bool inspect(pid_t pid, Process& out) {
    const std::string base = "/proc/" + std::to_string(pid);
    const std::string stat = slurp(base + "/stat");
    // The name is in parentheses and may hold anything, parentheses included: the last one ends it.
    const size_t open = stat.find('(');
    const size_t close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) return false;
    out.pid = pid;
    out.comm = stat.substr(open + 1, close - open - 1);
    out.state = stat[close + 2];
    std::vector<double> fields;
    const char* at = stat.c_str() + close + 3;
    char* end = nullptr;
    for (double value = std::strtod(at, &end); end != at; value = std::strtod(at, &end)) {
      fields.push_back(value);
      at = end;
    }
    if (fields.size() < 21) return false;
    const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    // Field 22 of proc(5) is the start time since boot; /proc/uptime counts suspend as it does.
    out.age = std::max(0.0, std::strtod(slurp("/proc/uptime", 64).c_str(), nullptr) - fields[18] / ticks);
    out.resident = fields[20] * static_cast<double>(sysconf(_SC_PAGESIZE));
    return true;
  }

  bool is_meant(const Process& process) const {
    if (process.state == 'Z' || process.state == 'X') return false;
    if (!name_.empty() && process.comm != name_) return false;
    const std::string base = "/proc/" + std::to_string(process.pid);
    if (uid_) {
      struct stat info {};
      if (stat(base.c_str(), &info) != 0 || info.st_uid != *uid_) return false;
    }
    if (command_ != nullptr) {
      std::string line = slurp(base + "/cmdline");
      while (!line.empty() && line.back() == '\0') line.pop_back();
      std::replace(line.begin(), line.end(), '\0', ' ');
      if (!command_->matches(line)) return false;
    }
    return true;
  }

  bool scan(const Attempt& attempt, std::vector<Process>& found) const {
    DIR* directory = opendir("/proc");
    if (directory == nullptr) return false;
    while (const dirent* entry = readdir(directory)) {
      const long pid = std::strtol(entry->d_name, nullptr, 10);
      Process process;
      // Our own worker matches its own pattern only by accident.
      if (pid <= 0 || pid == getpid() || attempt.remaining() == Duration::zero()) continue;
      if (inspect(static_cast<pid_t>(pid), process) && is_meant(process)) found.push_back(process);
    }
    closedir(directory);
    return true;
  }

  // How full its table of descriptors is, in percent; -1 where we may not look.
  static double descriptor_use(pid_t pid) {
    const std::string base = "/proc/" + std::to_string(pid);
    DIR* directory = opendir((base + "/fd").c_str());
    if (directory == nullptr) return -1;
    double used = -2;  // "." and ".."
    while (readdir(directory) != nullptr) ++used;
    closedir(directory);
    const std::string limits = slurp(base + "/limits");
    const size_t at = limits.find("Max open files");
    const double limit =
        at == std::string::npos ? 0 : std::strtod(limits.c_str() + at + std::strlen("Max open files"), nullptr);
    return limit > 0 ? 100 * used / limit : -1;
  }

  Result judge(std::vector<Process>& found) const {
    const auto count = static_cast<long long>(found.size());
    const std::string what = !name_.empty() ? name_ : !pidfile_.empty() ? pidfile_ : "command";
    double most_memory = 0;
    double youngest = no_threshold;
    double fullest = -1;
    for (const Process& p : found) {
      most_memory = std::max(most_memory, p.resident);
      youngest = std::isnan(youngest) ? p.age : std::min(youngest, p.age);
      if (!std::isnan(warn_descriptors_) || !std::isnan(fail_descriptors_))
        fullest = std::max(fullest, descriptor_use(p.pid));
    }
    Result result = pass(what + ": " + std::to_string(count) + (count == 1 ? " process" : " processes"));
    const std::string use = ": a process uses " + std::to_string(std::llround(fullest)) + " % of its descriptors";
    if (fullest > warn_descriptors_) result = warn(Cause::content, what + use);
    if (most_memory > warn_memory_) result = warn(Cause::content, what + ": a process uses " + mib(most_memory));
    if (!std::isnan(youngest) && youngest < min_age_) {
      result = warn(Cause::content, what + ": started " + std::to_string(std::llround(youngest)) + " s ago");
    }
    if (fullest > fail_descriptors_) result = fail(Cause::content, what + use);
    if (most_memory > fail_memory_) result = fail(Cause::content, what + ": a process uses " + mib(most_memory));
    if (count < min_count_) {
      result = fail(Cause::content, what + ": " + std::to_string(count) + " running, at least " +
                                        std::to_string(min_count_) + " wanted");
    }
    if (max_count_ >= 0 && count > max_count_) {
      result = fail(Cause::content, what + ": " + std::to_string(count) + " running, at most " +
                                        std::to_string(max_count_) + " wanted");
    }
    result.measure("count", static_cast<double>(count));
    if (count > 0) {
      result.measure("resident", most_memory, "B", warn_memory_, fail_memory_);
      result.measure("age", youngest, "s");
      result.fact("pid", std::to_string(found.front().pid));
    }
    if (fullest >= 0) result.measure("descriptors", fullest, "%", warn_descriptors_, fail_descriptors_);
    return result;
  }

  static std::string mib(double bytes) { return std::to_string(std::llround(bytes / 1048576)) + " MiB of memory"; }

  std::string pidfile_;
  std::string name_;
  std::unique_ptr<Pattern> command_;
  std::optional<uid_t> uid_;
  long long min_count_;
  long long max_count_;
  double min_age_;
  double warn_memory_;
  double fail_memory_;
  double warn_descriptors_;
  double fail_descriptors_;
};

}  // namespace

VITAL_BLOCKING_MODULE(ProcessCheck, "process", "1.0", "whether processes are there, how many, and how they are",
                      options)
