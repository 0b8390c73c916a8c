#include "share.hpp"

#include <openssl/evp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "../blocking.hpp"

namespace vital::check::shares {
namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// "canary", "vitald/canary". Throws Invalid for a path that could leave the share, or is none.
std::string path_option(const Options& o, const char* name) {
  std::string path = o.text_or(name, "");
  if (!o.has(name)) return path;
  const bool climbs = ("/" + path + "/").find("/../") != std::string::npos;
  if (path.empty() || path.front() == '/' || path.back() == '/' || climbs || path.find('\\') != std::string::npos) {
    throw Invalid(name, shown(path) + " is no path below the share; write vitald/canary, for example");
  }
  return path;
}

// What nobody has written before, so that an old file cannot pass for it.
std::string line_of_now() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char time[32];
  strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
  char line[400];
  std::snprintf(line, sizeof line, "vitald %s %s.%09ldZ %d\n", host, time, now.tv_nsec, static_cast<int>(getpid()));
  return line;
}

std::string without_line_ends(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

}  // namespace

std::string sha256_of(const std::string& content) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(content.data(), content.size(), digest, &size, EVP_sha256(), nullptr) != 1) return "";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

Wanted::Wanted(const Options& o)
    : file_(path_option(o, "file")),
      sha256_(o.text_or("sha256", "")),
      write_file_(path_option(o, "write_file")),
      free_(Floors::options(o, "warn_free", "fail_free")) {
  if (o.has("expect")) expect_ = o.text("expect");
  for (const char* name : {"expect", "sha256"}) {
    if (o.has(name) && file_.empty())
      throw Invalid("file", std::string("is missing, but there is ") + name + "; write the file that must have it");
  }
  if (expect_ && !sha256_.empty()) throw Invalid("sha256", "says the same as expect; leave one of them out");
  std::transform(sha256_.begin(), sha256_.end(), sha256_.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool is_hash = sha256_.size() == 64 && sha256_.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (o.has("sha256") && !is_hash) throw Invalid("sha256", "is no SHA-256; write the 64 digits that sha256sum prints");
  if (!file_.empty() && file_ == write_file_)
    throw Invalid("write_file", "is the file that is read; write another, which nobody else needs");
}

Result Wanted::look(Share& share, Result well, const std::string& target) const {
  Findings found;
  try {
    ask(share, found, well);
  } catch (const Stop& stop) {
    found.add(stop.result.verdict, stop.result.cause, stop.result.text);
  }
  return found.into(std::move(well), target);
}

void Wanted::ask(Share& share, Findings& found, Result& well) const {
  judge_space(share.space(), found, well);
  if (!file_.empty()) {
    const Duration began = monotonic_now();
    const std::string content = share.read(file_);
    well.measure("read", seconds(monotonic_now() - began), "s");
    judge_canary(content, found);
    well.text += ", " + file_ + (expect_ || !sha256_.empty() ? " is as it should be" : " can be read");
  }
  if (write_file_.empty() || found.worst() == Verdict::fail) return;
  const std::string text = line_of_now();
  const Duration began = monotonic_now();
  share.write(write_file_, text);
  well.measure("write", seconds(monotonic_now() - began), "s");
  if (share.read(write_file_) != text) {
    found.add(Verdict::fail, Cause::content,
              write_file_ + " was written, and reads otherwise: does another node write it too?");
  }
  well.text += ", " + write_file_ + " was written and read back";
}

void Wanted::judge_space(const Space& space, Findings& found, Result& result) const {
  if (space.size <= 0) return;
  result.measure("free", space.free, "B", free_.warn_at(space.size), free_.fail_at(space.size))
      .measure("free_percent", space.free * 100 / space.size, "%");
  const Floors::Finding finding = free_.judge(space.free, space.size, "warn_free", "fail_free");
  found.add(finding.verdict, Cause::content,
            bytes_in_words(space.free) + " free of " + bytes_in_words(space.size) + ", " + finding.words);
}

void Wanted::judge_canary(const std::string& content, Findings& found) const {
  if (content.size() > most_bytes && (expect_ || !sha256_.empty())) {
    return found.add(Verdict::unknown, Cause::config,
                     file_ + " has more than 1 MiB, which is too much to compare on every probe; name a small file");
  }
  if (expect_ && without_line_ends(content) != without_line_ends(*expect_)) {
    found.add(Verdict::fail, Cause::content, file_ + " contains " + shown(content) + ", expected " + shown(*expect_));
  }
  if (!sha256_.empty() && sha256_of(content) != sha256_) {
    found.add(Verdict::fail, Cause::content, file_ + " has another SHA-256 than expected, " + sha256_of(content));
  }
}

}  // namespace vital::check::shares
