// keepalived.track: the number in a track_file, by which a keepalived on this host raises or lowers its priority.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "action.hpp"

namespace {

using namespace vital::action;

constexpr OptionRow options[] = {
    {"path", Type::string, nullptr, "the track_file; absolute. It is written beside and renamed",
     "/run/vitald/keepalived/db", VITAL_OPTION_REQUIRED},
    {"value", Type::integer, nullptr, "what it is to hold", "1", VITAL_OPTION_REQUIRED, nullptr, -1000000, 1000000},
    {"undo", Type::integer, nullptr, "what it holds once the step is taken back", "0", 0, nullptr, -1000000, 1000000},
    VITAL_STEP_ROWS};

class Track final : public Action {
 public:
  explicit Track(const Options& o) : path_(o.text("path")), value_(o.text("value")), undo_(o.text_or("undo", "")) {
    if (path_[0] != '/') throw Invalid("path", "must be absolute");
  }

  Result check(const Step&, const Attempt&) override {
    if (access(folder().c_str(), W_OK | X_OK) != 0) {
      return fail(Cause::config, folder() + " cannot be written to: " + std::strerror(errno));
    }
    if (access(path_.c_str(), F_OK) != 0) return warn(Cause::content, path_ + " does not exist yet");
    return pass(path_ + " holds " + held());
  }
  Result perform(const Step& step, const Attempt&) override { return write(step, value_); }
  Result verify(const Step&, const Attempt&) override {
    const std::string now = held();
    if (now != value_) return fail(Cause::content, path_ + " holds \"" + now + "\" and not " + value_);
    return pass(path_ + " holds " + value_);
  }
  Result compensate(const Step& step, const Attempt&) override {
    if (undo_.empty()) return fail(Cause::config, "there is no undo");
    return write(step, undo_);
  }

 private:
  std::string folder() const { return path_.substr(0, std::max<std::size_t>(path_.rfind('/'), 1)); }
  std::string held() const {
    std::ifstream file(path_);
    std::string out;
    std::getline(file, out);
    return out.substr(0, 40);
  }
  Result write(const Step& step, const std::string& value) const {
    const std::string beside = path_ + ".vitald";
    struct Gone {  // also if it is too late; after the rename there is nothing of that name
      const std::string& path;
      ~Gone() { unlink(path.c_str()); }
    } const gone{beside};
    const auto broken = [&](const char* what) {
      const int error = errno;
      return fail(Cause::config, std::string(what) + " " + beside + ": " + std::strerror(error));
    };
    const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return broken("making");
    const std::string text = value + "\n";
    const bool is_written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const bool is_safe = is_written && fsync(fd) == 0;
    close(fd);
    if (!is_safe) return broken("writing");
    step.begin_effect();
    if (rename(beside.c_str(), path_.c_str()) != 0) return broken("renaming");
    return pass(path_ + " was given " + value);
  }

  std::string path_, value_, undo_;
};

}  // namespace

VITAL_ACTION(Track, "keepalived.track", "1.0", "the number in a track_file of keepalived", options)
