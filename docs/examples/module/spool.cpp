// spool: how many files wait in a directory. A mail queue that only grows is an outage nobody has noticed yet.
#include <filesystem>
#include <string>
#include <vitald/check.hpp>

namespace vc = vital::check;

static constexpr vc::OptionRow options[] = {
    {"path", vc::Type::string, nullptr, "the directory to look into", "/var/spool/app", VITAL_OPTION_REQUIRED},
    {"warn", vc::Type::integer, "100", "warn if more files than this wait"},
    {"fail", vc::Type::integer, "1000", "fail if more files than this wait"},
};

class Spool final : public vc::Blocking {
 public:
  explicit Spool(const vc::Options& o) : path_(o.text("path")), warn_(o.integer("warn")), fail_(o.integer("fail")) {
    if (fail_ < warn_) throw vc::Invalid("fail", "is below warn; write a number of at least " + std::to_string(warn_));
  }

  vc::Result probe(const vc::Attempt&) override {
    std::error_code error;
    long long count = 0;
    for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) ++count;
    if (error) return vc::unknown(vc::Cause::config, "cannot read " + path_ + ": " + error.message());
    vc::Result result = vc::pass(std::to_string(count) + " files wait in " + path_);
    if (count > warn_) result.verdict = vc::Verdict::warn, result.cause = vc::Cause::content;
    if (count > fail_) result.verdict = vc::Verdict::fail;
    result.measure("files", static_cast<double>(count), "", static_cast<double>(warn_), static_cast<double>(fail_));
    return result;
  }

 private:
  std::string path_;
  long long warn_;
  long long fail_;
};

VITAL_BLOCKING_MODULE(Spool, "spool", "1.0", "how many files wait in a directory", options)
